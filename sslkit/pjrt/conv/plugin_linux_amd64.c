//go:build cgo && !noxla

// The way to the compiler and to the threads of a PJRT plugin. What is declared here of the interfaces of XLA (OpenXLA
// project, Apache License 2.0: xla/pjrt/c/pjrt_c_api.h, pjrt_c_api_ffi_extension.h, xla/ffi/api/c_api.h) is as much as is
// used. Both grow at the end only, and their structures say how large they are.

#include "plugin_linux_amd64.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"
#include "kernels_linux_amd64.h"

typedef struct extension {
  size_t size;
  int type;
  struct extension *next;
} extension;

// PJRT

typedef struct {
  size_t size;
  extension *extensions;
  char *code;
  size_t code_size;
  const char *format;
  size_t format_size;
} pjrt_program;

typedef struct {
  size_t size;
  extension *extensions;
  void *client;
  const pjrt_program *program;
} pjrt_compile_args; // as far as is used

typedef struct {
  size_t size;
  extension *extensions;
  void *error;
} pjrt_error_args;

typedef struct {
  size_t size;
  extension *extensions;
  void *error;
  const char *message;
  size_t message_size;
} pjrt_message_args;

typedef struct {
  size_t size;
  extension *extensions;
  struct {
    size_t size;
    extension *extensions;
    int major, minor;
  } version;
  void (*error_destroy)(pjrt_error_args *);
  void (*error_message)(pjrt_message_args *);
  void *unused[18];
  void *(*compile)(pjrt_compile_args *);
} pjrt_api; // as far as is used

typedef struct {
  size_t size;
  const char *name;
  size_t name_size;
  void *handler;
  const char *platform;
  size_t platform_size;
  int traits;
} pjrt_register_args;

typedef struct {
  extension base;
  void *unused[2];
  void *(*register_handler)(pjrt_register_args *);
} pjrt_ffi;

enum { pjrt_extension_ffi = 5 };

// XLA's foreign functions

typedef struct {
  size_t size;
  extension *extensions;
  int dtype;
  void *data;
  int64_t rank;
  int64_t *dims;
} ffi_buffer;

typedef struct {
  size_t size;
  extension *extensions;
  int64_t count;
  int *types;
  void **values;
} ffi_values; // arguments, results

typedef struct {
  const char *text;
  size_t length;
} ffi_string;

typedef struct {
  int dtype;
  void *value;
} ffi_scalar;

typedef struct {
  size_t size;
  extension *extensions;
  int64_t count;
  int *types;
  ffi_string **names;
  void **values;
} ffi_attributes;

typedef struct {
  size_t size;
  extension *extensions;
  const char *message;
  int code;
} ffi_error_args;

typedef struct {
  size_t size;
  extension *extensions;
  void *context;
  void (*task)(void *data);
  void *data;
} ffi_schedule_args;

typedef struct {
  size_t size;
  extension *extensions;
  void *context;
  int64_t *threads;
} ffi_threads_args;

typedef struct {
  size_t size;
  extension *extensions;
  struct {
    size_t size;
    extension *extensions;
    int major, minor;
  } version;
  const void *internal;
  void *(*error_create)(ffi_error_args *);
  void *unused[10];
  void *(*schedule)(ffi_schedule_args *);
  void *(*threads)(ffi_threads_args *);
} ffi_api; // as far as is used

typedef struct {
  size_t size;
  extension *extensions;
  const ffi_api *api;
  void *context;
  int stage;
  ffi_values args, results;
  ffi_attributes attributes;
} ffi_frame;

typedef struct {
  extension base;
  struct {
    size_t size;
    struct {
      size_t size;
      extension *extensions;
      int major, minor;
    } version;
    uint32_t traits;
  } *metadata;
} ffi_metadata;

enum { ffi_extension_metadata = 1, ffi_f32 = 11, ffi_s64 = 5, ffi_attribute_scalar = 3, ffi_invalid_argument = 3, ffi_resource_exhausted = 8 };

static int lanes;

int conv_use_lanes(int n) {
  int before = lanes;
  lanes = n;
  return before;
}

static void *fail(const ffi_frame *f, int code, const char *message) {
  ffi_error_args args = {sizeof args, NULL, message, code};
  return f->api->error_create(&args);
}

typedef struct {
  const ffi_api *api;
  void *context;
} threads;

static bool schedule(void *context, void (*task)(void *), void *data) {
  threads *t = context;
  ffi_schedule_args args = {sizeof args, NULL, t->context, task, data};
  return t->api->schedule(&args) == NULL; // an error is lost: this thread does the work then
}

// attribute returns an integer, or -1 where the call has none of that name.
static long attribute(const ffi_frame *f, const char *name) {
  for (int64_t i = 0; i < f->attributes.count; i++) {
    ffi_string *s = f->attributes.names[i];
    ffi_scalar *v = f->attributes.values[i];
    if (s->length == strlen(name) && !memcmp(s->text, name, s->length) && f->attributes.types[i] == ffi_attribute_scalar && v->dtype == ffi_s64)
      return *(int64_t *)v->value;
  }
  return -1;
}

// begin answers what is asked at registration, and checks what all calls have to have, two arguments and one result in float32: it
// returns true where the call is over.
static bool begin(ffi_frame *f, void **answer) {
  *answer = NULL;
  if (f->extensions && f->extensions->type == ffi_extension_metadata) { // asked at registration
    ffi_metadata *m = (ffi_metadata *)f->extensions;
    m->metadata->version.major = 0;
    m->metadata->version.minor = 3;
    m->metadata->traits = 0;
    return true;
  }
  if (f->size < sizeof *f || f->api->size < sizeof *f->api) *answer = fail(f, ffi_invalid_argument, "sslkit_conv: XLA's interface is of another version");
  else if (f->args.count != 2 || f->results.count != 1) *answer = fail(f, ffi_invalid_argument, "sslkit_conv: need two arguments and one result");
  else {
    ffi_buffer *all[] = {f->args.values[0], f->args.values[1], f->results.values[0]};
    for (int i = 0; i < 3; i++)
      if (all[i]->dtype != ffi_f32) *answer = fail(f, ffi_invalid_argument, "sslkit_conv: need float32");
  }
  return *answer != NULL;
}

static int64_t thread_count(ffi_frame *f) {
  int64_t count = 1;
  ffi_threads_args args = {sizeof args, NULL, f->context, &count};
  return f->api->threads(&args) ? 1 : count;
}

// handle does both kinds of convolutions. x [n, h, w, c] and the kernel's or its gradient's [kh, kw, c, o] hold the shape.
static void *handle(ffi_frame *f, bool gradient) {
  void *answer;
  if (begin(f, &answer)) return answer;
  ffi_buffer *x = f->args.values[0], *second = f->args.values[1], *out = f->results.values[0];
  ffi_buffer *kernel = gradient ? out : second, *y = gradient ? second : out;
  if (x->rank != 4 || kernel->rank != 4 || y->rank != 4) return fail(f, ffi_invalid_argument, "sslkit_conv: need four axes");
  bool exchanged = attribute(f, "exchanged") == 1;
  conv_shape s = {x->dims[0], x->dims[1], x->dims[2], x->dims[3], kernel->dims[0], kernel->dims[1], kernel->dims[exchanged ? 2 : 3],
                  y->dims[1], y->dims[2], attribute(f, "stride"), attribute(f, "dilation"), attribute(f, "top"), attribute(f, "left")};
  if (kernel->dims[exchanged ? 3 : 2] != s.c || y->dims[0] != s.n || y->dims[3] != s.o || s.o % 8 || s.stride < 1 || s.dilation < 1 ||
      (s.dilation > 1 && (s.stride > 1 || gradient)) || s.top < 0 || s.left < 0 || s.n < 1 || s.oh < 1 || s.ow < 1)
    return fail(f, ffi_invalid_argument, "sslkit_conv: shapes or attributes do not fit");
  threads t = {f->api, f->context};
  conv_pool pool = {&t, thread_count(f), schedule};
  bool ok = gradient ? conv_gradient(&s, x->data, y->data, out->data, lanes, &pool)
                     : conv_correlate(&s, exchanged, x->data, kernel->data, out->data, lanes, &pool);
  return ok ? NULL : fail(f, ffi_resource_exhausted, "sslkit_conv: no memory");
}

// multiply does products of matrices, the last two axes of its arguments.
static void *multiply(ffi_frame *f) {
  void *answer;
  if (begin(f, &answer)) return answer;
  ffi_buffer *a = f->args.values[0], *b = f->args.values[1], *c = f->results.values[0];
  matrices s = {1, 0, 0, 0, attribute(f, "turned_a") == 1, attribute(f, "turned_b") == 1};
  int64_t rank = c->rank;
  bool fit = rank >= 2 && a->rank == rank && b->rank == rank;
  for (int64_t i = 0; fit && i < rank - 2; i++) {
    fit = a->dims[i] == c->dims[i] && b->dims[i] == c->dims[i];
    s.batch *= c->dims[i];
  }
  if (fit) {
    s.m = c->dims[rank - 2];
    s.n = c->dims[rank - 1];
    s.k = a->dims[rank - (s.turned_a ? 2 : 1)];
    fit = a->dims[rank - (s.turned_a ? 1 : 2)] == s.m && b->dims[rank - (s.turned_b ? 1 : 2)] == s.k && b->dims[rank - (s.turned_b ? 2 : 1)] == s.n;
  }
  if (!fit || s.n % 8 || s.batch < 1 || s.m < 1 || s.k < 1) return fail(f, ffi_invalid_argument, "sslkit_multiply: shapes do not fit");
  threads t = {f->api, f->context};
  conv_pool pool = {&t, thread_count(f), schedule};
  return conv_multiply(&s, a->data, b->data, c->data, lanes, &pool) ? NULL : fail(f, ffi_resource_exhausted, "sslkit_multiply: no memory");
}

static void *correlate(ffi_frame *f) { return handle(f, false); }
static void *gradient(ffi_frame *f) { return handle(f, true); }

// The one plugin of this process, and its table with another compile.
static pjrt_api *plugin, *table;

// compile_rewritten compiles the program that convRewrite makes of the given one. Where the plugin does not take it, it
// compiles the given one.
static void *compile_rewritten(pjrt_compile_args *args) {
  const pjrt_program *given = args->program;
  size_t size = 0;
  char *text = NULL;
  if (given->format_size == 4 && !memcmp(given->format, "mlir", 4)) text = convRewrite(given->code, given->code_size, &size);
  if (!text) return plugin->compile(args);
  pjrt_program rewritten = *given;
  rewritten.code = text;
  rewritten.code_size = size;
  args->program = &rewritten;
  void *error = plugin->compile(args);
  args->program = given;
  free(text);
  if (!error) return NULL;
  pjrt_message_args message = {sizeof message, NULL, error, NULL, 0};
  plugin->error_message(&message);
  convRefused((char *)message.message, message.message_size);
  pjrt_error_args destroy = {sizeof destroy, NULL, error};
  plugin->error_destroy(&destroy);
  return plugin->compile(args);
}

static const char *register_handler(pjrt_ffi *ffi, const char *name, void *handler) {
  pjrt_register_args args = {sizeof args, name, strlen(name), handler, "HOST", 4, 0};
  void *error = ffi->register_handler(&args);
  if (!error) return NULL;
  pjrt_error_args destroy = {sizeof destroy, NULL, error};
  plugin->error_destroy(&destroy);
  return "it refuses the kernels";
}

void *conv_hook(void *api, const char **missing) {
  if (plugin) {
    *missing = "another plugin has them";
    return api == plugin ? table : NULL;
  }
  plugin = api;
  *missing = NULL;
  lanes = conv_lanes(16);
  pjrt_ffi *ffi = NULL;
  for (extension *e = plugin->extensions; e; e = e->next)
    if (e->type == pjrt_extension_ffi && e->size >= sizeof *ffi) ffi = (pjrt_ffi *)e;
  if (!lanes) *missing = "the processor has no AVX2";
  else if (plugin->size < sizeof *plugin || plugin->version.major != 0) *missing = "its interface is of another version";
  else if (!ffi) *missing = "it takes no kernels (no FFI extension)";
  else if (!(*missing = register_handler(ffi, "sslkit_conv", correlate)) && !(*missing = register_handler(ffi, "sslkit_conv_gradient", gradient)))
    *missing = register_handler(ffi, "sslkit_multiply", multiply);
  if (!*missing && !(table = malloc(plugin->size))) *missing = "no memory";
  if (*missing) {
    plugin = NULL;
    return NULL;
  }
  memcpy(table, plugin, plugin->size);
  table->compile = compile_rewritten;
  return table;
}

void *conv_open(const char *path, char **err) {
  void *(*get)(void) = NULL;
  void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (library) get = (void *(*)(void))dlsym(library, "GetPjrtApi");
  void *api = get ? get() : NULL;
  if (!api) *err = strdup(get ? "it has no functions" : dlerror());
  return api;
}
