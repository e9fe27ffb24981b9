// Convolutions and their gradients in float32, channels last, and products of many small matrices, for processors with AVX2 and FMA, or AVX-512.

#include <stdbool.h>

// A pool runs task(data) on another thread, soon or late, and returns false where it cannot.
typedef struct {
  void *context;
  long threads;
  bool (*schedule)(void *context, void (*task)(void *data), void *data);
} conv_pool;

// conv_shape says which convolution: of x [n, h, w, c] with a kernel [kh, kw, c, o] to y [n, oh, ow, o]. The window's first
// tap lies top rows above and left columns before the pixel. With dilation d, x has d-1 rows and columns of zeros between
// its own (a strided convolution's gradient to its data); then the stride is 1.
typedef struct {
  long n, h, w, c, kh, kw, o, oh, ow, stride, dilation, top, left;
} conv_shape;

// conv_lanes is the width of the processor's vectors, at most most: 16, 8, or 0 where it has not what the kernels need.
int conv_lanes(int most);

// conv_correlate computes y. Where exchanged, kernel is [kh, kw, o, c]. o is a multiple of 8. It returns false where there
// is no memory.
bool conv_correlate(const conv_shape *s, bool exchanged, const float *x, const float *kernel, float *y, int lanes, const conv_pool *pool);

// conv_gradient computes the gradient of the kernel, dw, from x and from the gradient g of y, at dilation 1. The result
// depends on no number of threads and on no width of vectors.
bool conv_gradient(const conv_shape *s, const float *x, const float *g, float *dw, int lanes, const conv_pool *pool);

// matrices says which products: c [m, n] = a [m, k] * b [k, n], of each of a batch. Turned ones lie in memory as [k, m] and [n, k].
typedef struct {
  long batch, m, k, n;
  bool turned_a, turned_b;
} matrices;

// conv_multiply computes them. n is a multiple of 8. The result depends on no number of threads and on no width of vectors. It returns
// false where there is no memory.
bool conv_multiply(const matrices *s, const float *a, const float *b, float *c, int lanes, const conv_pool *pool);
