//go:build !amd64

package quoted

const vectors = false

func stopInBlocks(*byte, int) (before int, beyond, escaped bool) { panic("quoted: no vectors") }
func validInBlocks(*byte, int) (done int, ok bool)               { panic("quoted: no vectors") }
