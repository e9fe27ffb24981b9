#include <stddef.h>

// hook_plugin registers the kernels with a loaded plugin, whose table of functions is api, and returns a copy of the table
// whose compiler sees programs after rewriteProgram (plugin_linux_amd64.go). NULL, and what is missing, where it cannot.
void *hook_plugin(void *api, const char **missing);

// open_plugin loads the plugin and returns its table, or NULL and an error that is the caller's to free.
void *open_plugin(const char *path, char **err);

// use_lanes sets the width of vectors that the kernels use, and returns what it was.
int use_lanes(int lanes);
