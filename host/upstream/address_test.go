package upstream

import (
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	for name, tc := range map[string]struct {
		named   string
		address string
		refused bool
	}{
		"a public address":                            {"", "93.184.216.34", false},
		"loopback":                                    {"", "127.0.0.1", false},
		"IPv6 loopback":                               {"", "::1", false},
		"a private address":                           {"", "192.168.1.5", false},
		"a unique local address":                      {"", "fd12:3456::1", false},
		"carrier-grade NAT":                           {"", "100.64.0.1", false},
		"a public IPv6 address":                       {"", "2606:4700::1111", false},
		"the metadata service":                        {"", "169.254.169.254", true},
		"the metadata service of containers":          {"", "169.254.170.2", true},
		"the metadata service by IPv6":                {"", "fd00:ec2::254", true},
		"Google's by IPv6":                            {"", "fd20:ce::254", true},
		"Alibaba's":                                   {"", "100.100.100.200", true},
		"Oracle's":                                    {"", "192.0.0.192", true},
		"Azure's":                                     {"", "168.63.129.16", true},
		"IPv6 link-local":                             {"", "fe80::1", true},
		"IPv6 link-local with zone":                   {"", "fe80::1%eth0", true},
		"IPv4 in IPv6":                                {"", "::ffff:169.254.169.254", true},
		"IPv4-compatible IPv6":                        {"", "::169.254.169.254", true},
		"through NAT64":                               {"", "64:ff9b::a9fe:a9fe", true},
		"a public address through NAT64":              {"", "64:ff9b::5db8:d822", false},
		"through 6to4":                                {"", "2002:a9fe:a9fe::1", true},
		"AWS's of a container, by IPv6":               {"", "fd00:ec2::23", true},
		"Oracle's by IPv6":                            {"", "fd00:c1::a9fe:a9fe", true},
		"Scaleway's":                                  {"", "169.254.42.42", true},
		"Scaleway's by IPv6":                          {"", "fd00:42::42", true},
		"through NAT64 of a network":                  {"", "64:ff9b:1::a9fe:a9fe", true},
		"the same, behind 48 bits":                    {"", "64:ff9b:1:a9fe:a9:fe00::", true},
		"the same, behind 56 bits":                    {"", "64:ff9b:1:0a9:fe:a9fe::", true},
		"the same, behind 64 bits":                    {"", "64:ff9b:1:7:a9:fea9:fe00:0", true},
		"a public address through NAT64 of a network": {"", "64:ff9b:1::5db8:d822", false},
		"translated without state":                    {"", "::ffff:0:169.254.169.254", true},
		"a public one, translated":                    {"", "::ffff:0:93.184.216.34", false},
		"through Teredo":                              {"", "2001:0:5db8:d822:0:0:5601:5601", true},
		"by a server of Teredo's":                     {"", "2001:0:a9fe:a9fe:0:0:a247:27dd", true},
		"a public one through Teredo":                 {"", "2001:0:5db8:d822:0:0:a247:27dd", false},
		"multicast":                                   {"", "224.0.0.1", true},
		"IPv6 multicast":                              {"", "ff02::1", true},
		"broadcast":                                   {"", "255.255.255.255", true},
		"unspecified":                                 {"", "0.0.0.0", true},
		"this network":                                {"", "0.1.2.3", true},
		"IPv6 unspecified":                            {"", "::", true},
		"named itself":                                {"169.254.169.254", "169.254.169.254", false},
		"named, dialled as IPv4 in IPv6":              {"169.254.169.254", "::ffff:169.254.169.254", false},
		"named as IPv4 in IPv6":                       {"::ffff:169.254.169.254", "169.254.169.254", false},
		"named with a zone":                           {"fe80::1%eth0", "fe80::1%eth0", false},
		"unspecified, but named":                      {"0.0.0.0", "0.0.0.0", false},
		"another one than named":                      {"169.254.1.1", "169.254.169.254", true},
		"a name that is no address allows nothing":    {"metadata.internal", "169.254.169.254", true},
		"a number that is no address allows naught":   {"2852039166", "169.254.169.254", true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := netip.MustParseAddr(tc.address)
			err := newGuard(tc.named, "proxy.test").control("tcp", netip.AddrPortFrom(addr, 80).String(), nil)
			if (err != nil) != tc.refused {
				t.Errorf("dialling %s with %q in base_url: %v, want refused: %v", addr, tc.named, err, tc.refused)
			}
		})
	}
}
