package upstream

import (
	"fmt"
	"net/netip"
	"syscall"
)

// guard decides which addresses may be dialled. It checks addresses after name resolution, so
// no name can lead to a forbidden one. Services at link-local and metadata addresses, for
// example, give out a cloud machine's credentials.
type guard struct {
	named []netip.Addr // addresses that the configuration names; always allowed
}

// newGuard gets the hosts that the configuration names. Those that are addresses, not
// names, are always allowed.
func newGuard(hosts ...string) guard {
	var g guard
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			g.named = append(g.named, canonical(addr))
		}
	}
	return g
}

// refusedError says that the guard refused an address.
type refusedError struct {
	addr netip.Addr
	why  string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("address %s is %s and base_url does not name it", e.addr, e.why)
}

// control is a net.Dialer's Control: it runs after name resolution, before
// connecting, for every address that is tried.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial address %q: %w", address, err)
	}
	return g.check(ap.Addr())
}

func (g guard) check(addr netip.Addr) error {
	addr = canonical(addr)
	for _, named := range g.named {
		if addr == named {
			return nil
		}
	}
	if why := refusal(addr); why != "" {
		return &refusedError{addr, why}
	}
	return nil
}

// canonical removes what does not change the destination: the zone, and IPv4 written
// as IPv6.
func canonical(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }

// Metadata services outside the link-local ranges.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("fd00:ec2::254"):      true, // AWS
	netip.MustParseAddr("fd00:ec2::23"):       true, // AWS, of a container
	netip.MustParseAddr("fd20:ce::254"):       true, // Google Cloud
	netip.MustParseAddr("100.100.100.200"):    true, // Alibaba Cloud
	netip.MustParseAddr("192.0.0.192"):        true, // Oracle Cloud, of older machines
	netip.MustParseAddr("fd00:c1::a9fe:a9fe"): true, // Oracle Cloud
	netip.MustParseAddr("fd00:42::42"):        true, // Scaleway
	netip.MustParseAddr("168.63.129.16"):      true, // Azure's host services
}

var thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122, 3.2.1.3: never a destination

// refusal says why a canonical address may not be dialled; "": it may.
func refusal(addr netip.Addr) string {
	switch {
	case metadata[addr]:
		return "a metadata service"
	case addr.IsUnspecified(), thisNetwork.Contains(addr):
		return "unspecified"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "multicast"
	}
	for _, inner := range embedded(addr) {
		if why := refusal(inner); why != "" {
			return why
		}
	}
	return ""
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765, 2.1
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380, 4
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291, 2.5.5.1
)

// embedded returns the IPv4 addresses that a translated IPv6 address may lead to.
//
// Example: 64:ff9b::a9fe:a9fe leads to 169.254.169.254.
func embedded(addr netip.Addr) []netip.Addr {
	b := addr.As16()
	v4 := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	last := v4(12, 13, 14, 15)
	switch {
	case !addr.Is6() || addr.IsLoopback():
		return nil
	case nat64.Contains(addr), compatible.Contains(addr), translated.Contains(addr):
		return []netip.Addr{last}
	case localNAT64.Contains(addr):
		// The length of the network's prefix decides where the address is (RFC 6052,
		// 2.2). We don't know it, so we look in each place; the wrong ones have zeros,
		// which lead nowhere.
		list := []netip.Addr{last}
		for _, a := range []netip.Addr{v4(6, 7, 9, 10), v4(7, 9, 10, 11), v4(9, 10, 11, 12)} {
			if !thisNetwork.Contains(a) {
				list = append(list, a)
			}
		}
		return list
	case sixToFour.Contains(addr):
		return []netip.Addr{v4(2, 3, 4, 5)}
	case teredo.Contains(addr):
		// The client's address, with its bits inverted, and the server's that leads to it.
		client := netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		return []netip.Addr{client, v4(4, 5, 6, 7)}
	}
	return nil
}
