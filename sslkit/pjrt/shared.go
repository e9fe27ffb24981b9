package pjrt

import (
	"path/filepath"
	"slices"
)

// Packaged lists the files below Python's package folders that match a pattern of [filepath.Glob], those of virtual environments
// first and of versions the newest: the shared libraries of other wheels lie where the plugins do.
func Packaged(pattern string) []string {
	var all []string
	for _, site := range sitePackages() {
		paths, _ := filepath.Glob(filepath.Join(site, pattern)) // fails only for a malformed pattern
		slices.Reverse(paths)
		all = append(all, paths...)
	}
	return all
}

// Trusted is an error if others than the user and root may write to a shared library, or could put another into its place: what
// is loaded may do whatever the user may.
func Trusted(path string) error {
	foreign, err := trusted(path)
	if err != nil {
		return err
	}
	return foreign
}
