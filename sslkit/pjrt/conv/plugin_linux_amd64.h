#include <stddef.h>

// conv_hook registers the kernels with a loaded plugin, whose table of functions is api, and returns a copy of the table
// whose compiler sees programs after convRewrite (plugin_linux_amd64.go). NULL, and what is missing, where it cannot.
void *conv_hook(void *api, const char **missing);

// conv_open loads the plugin and returns its table, or NULL and an error that is the caller's to free.
void *conv_open(const char *path, char **err);

// conv_use_lanes sets the width of vectors that the kernels use, and returns what it was.
int conv_use_lanes(int lanes);
