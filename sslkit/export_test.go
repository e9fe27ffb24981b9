package sslkit

// Unregister takes back what a test registered.
func Unregister(name string) {
	registry.Lock()
	defer registry.Unlock()
	delete(registry.byType, registry.byName[name].kind)
	delete(registry.byName, name)
}

// SourceDigest is for tests.
var SourceDigest = sourceDigest
