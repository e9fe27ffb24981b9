//go:build cgo && !noxla

package conv

// RewriteWith replaces Rewrite in the plugin's compiler, until undo is called.
func RewriteWith(f func(program string) (string, int)) (undo func()) {
	rewriteWith = f
	return func() { rewriteWith = Rewrite }
}

var UseLanes = useLanes

// ForgetRefused is Refused, once.
func ForgetRefused() error {
	defer refused.Store(nil)
	return Refused()
}
