package data

import (
	"os"
	"path/filepath"
)

// otherPlaces are the folders in which files of datasets are looked for beside
// the cache. Tests change it, so that they don't depend on the machine.
var otherPlaces = userPlaces

// userPlaces are where PyTorch, Keras and their users keep datasets: data in
// the working directory, $TORCH_HOME (or torch in the user's cache folder) and
// datasets in it, the user's cache folder, $KERAS_HOME/datasets (or
// ~/.keras/datasets), and data in the home folder.
func userPlaces() []string {
	places := []string{"data"}
	if dir := os.Getenv("TORCH_HOME"); dir != "" {
		places = append(places, dir, filepath.Join(dir, "datasets"))
	}
	// Not os.UserCacheDir, which elsewhere than on Linux is not where Python
	// programs look.
	cache := os.Getenv("XDG_CACHE_HOME")
	home, err := os.UserHomeDir()
	if cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	if cache != "" {
		places = append(places, filepath.Join(cache, "torch"), filepath.Join(cache, "torch", "datasets"), cache)
	}
	if dir := os.Getenv("KERAS_HOME"); dir != "" {
		places = append(places, filepath.Join(dir, "datasets"))
	}
	if err == nil {
		places = append(places, filepath.Join(home, ".keras", "datasets"), filepath.Join(home, "data"))
	}
	return places
}

// searched are the cache and the other places, and the folder called name in
// each.
func searched(cache, name string) (dirs []string) {
	for _, place := range append([]string{cache}, otherPlaces()...) {
		dirs = append(dirs, filepath.Join(place, name), place)
	}
	return dirs
}
