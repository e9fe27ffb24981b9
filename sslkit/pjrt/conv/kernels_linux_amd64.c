//go:build cgo && !noxla

#include "kernels_linux_amd64.h"

#include <immintrin.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define MAX_P 16
#define MAX_V 2
#define MAX_T 3
#define MAX_B 8

#define LANES 8
#define NAME(f) f##_8
#define TARGET __attribute__((target("avx2,fma")))
#include "blocks_linux_amd64.h"

#define LANES 16
#define NAME(f) f##_16
#define TARGET __attribute__((target("avx512f")))
#include "blocks_linux_amd64.h"

int conv_lanes(int most) {
  __builtin_cpu_init();
  if (most >= 16 && __builtin_cpu_supports("avx512f")) return 16;
  if (most >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
  return 0;
}

static long least(long a, long b) { return a < b ? a : b; }
static long most(long a, long b) { return a > b ? a : b; }

static float *floats(long n) { return aligned_alloc(64, (n * sizeof(float) + 127) / 64 * 64); }

// A job is shared by the threads that do it; the last to leave it frees it. A thread that comes late finds nothing left to
// do and does not touch what the job is about, which may be gone.
typedef struct {
  atomic_long next, done, users;
  long parts;
  void (*part)(void *about, long k);
  void *about;
} job;

static void leave(job *j) {
  if (atomic_fetch_sub(&j->users, 1) == 1) free(j);
}

static void work(void *data) {
  job *j = data;
  for (long k; (k = atomic_fetch_add(&j->next, 1)) < j->parts;) {
    j->part(j->about, k);
    atomic_fetch_add(&j->done, 1);
  }
}

static void help(void *data) {
  work(data);
  leave(data);
}

// divide does all parts, on the threads of the pool and on this one, which waits for no thread that has not begun.
static bool divide(const conv_pool *pool, long parts, void (*part)(void *about, long k), void *about) {
  job *j = malloc(sizeof *j);
  if (!j) return false;
  long helpers = pool ? least(pool->threads, parts) - 1 : 0;
  if (helpers < 0) helpers = 0;
  atomic_init(&j->next, 0);
  atomic_init(&j->done, 0);
  atomic_init(&j->users, 1 + helpers);
  j->parts = parts;
  j->part = part;
  j->about = about;
  for (long i = 0; i < helpers; i++)
    if (!pool->schedule(pool->context, help, j)) leave(j);
  work(j);
  while (atomic_load(&j->done) < parts) sched_yield();
  leave(j);
  return true;
}

// copy_rows copies rows [row, row+rows) and columns [col, col+cols) of an image, of which those outside are zeros.
static void copy_rows(float *to, const float *image, long h, long w, long c, long row, long rows, long col, long cols) {
  long first = most(0, -col), end = most(first, least(cols, w - col)); // within a row
  for (long i = 0; i < rows; i++, to += cols * c) {
    long r = row + i;
    if (r < 0 || r >= h || first >= cols) {
      memset(to, 0, cols * c * sizeof(float));
      continue;
    }
    memset(to, 0, first * c * sizeof(float));
    memcpy(to + first * c, image + (r * w + col + first) * c, (end - first) * c * sizeof(float));
    memset(to + end * c, 0, (cols - end) * c * sizeof(float));
  }
}

// A panel is a block of output channels that are computed together.
static long panel_width(long left, int lanes) {
  if (lanes == 16 && left >= 32) return 32;
  if (left >= 16) return 16;
  return 8;
}

// BAND is how many floats of an image are copied at a time: a fraction of the second-level cache.
#define BAND (32 << 10)

// With dilation d, the pixels of y fall into d classes along each axis that see different taps of the kernel. A class of
// rows or columns sees count taps, the first of them is tap, and its pixel k sees x from k*stride+start on.
typedef struct {
  long tap, count, start;
} class;

static class class_of(long a, long taps, long before, long d) {
  long tap = ((before - a) % d + d) % d;
  return (class){tap, tap < taps ? (taps - tap + d - 1) / d : 0, (a + tap - before) / d};
}

typedef struct {
  const conv_shape *s;
  const float *x;
  float *y;
  int lanes;
  long images; // in a part
  float *packed, **of; // of[a*dilation+b]: the packed kernel of a class
  class *rows, *cols;
  atomic_bool failed;
} correlation;

static void correlate_images(void *about, long part) {
  correlation *t = about;
  const conv_shape *s = t->s;
  long d = s->dilation, c = s->c;
  // What all classes see.
  long top = t->rows[0].start, bottom = top, left = t->cols[0].start, right = left;
  for (long a = 0; a < d; a++) {
    top = least(top, t->rows[a].start);
    bottom = most(bottom, t->rows[a].start + t->rows[a].count);
    left = least(left, t->cols[a].start);
    right = most(right, t->cols[a].start + t->cols[a].count);
  }
  long width = (s->ow + d - 1) / d, height = (s->oh + d - 1) / d; // of a class
  long cols = (width - 1) * s->stride + right - left;
  long band = most(1, (BAND / (cols * c) - (bottom - top)) / s->stride + 1);
  band = least(band, height);
  float *copy = floats(((band - 1) * s->stride + bottom - top) * cols * c);
  if (!copy) {
    atomic_store(&t->failed, true);
    return;
  }
  for (long n = part * t->images; n < least(s->n, (part + 1) * t->images); n++)
    for (long k0 = 0; k0 < height; k0 += band) {
      long k1 = least(height, k0 + band);
      copy_rows(copy, t->x + n * s->h * s->w * c, s->h, s->w, c, k0 * s->stride + top, (k1 - k0 - 1) * s->stride + bottom - top, left, cols);
      for (long a = 0; a < d; a++)
        for (long b = 0; b < d; b++) {
          class row = t->rows[a], col = t->cols[b];
          long pixels = (s->ow - b + d - 1) / d, taps = row.count * col.count;
          for (long o = 0, wide; o < s->o; o += wide) {
            wide = panel_width(s->o - o, t->lanes);
            const float *w = t->of[a * d + b] + taps * c * o;
            for (long k = k0; k < k1 && d * k + a < s->oh; k++) {
              const float *x = copy + (((k - k0) * s->stride + row.start - top) * cols + col.start - left) * c;
              float *y = t->y + ((n * s->oh + d * k + a) * s->ow + b) * s->o + o;
              long xs = s->stride * c, xrow = cols * c, run = col.count * c, ys = d * s->o;
              if (wide == 32) correlate_row2_16(pixels, x, xs, xrow, w, row.count, run, wide, y, ys);
              else if (wide == 16 && t->lanes == 16) correlate_row1_16(pixels, x, xs, xrow, w, row.count, run, wide, y, ys);
              else if (wide == 16) correlate_row2_8(pixels, x, xs, xrow, w, row.count, run, wide, y, ys);
              else correlate_row1_8(pixels, x, xs, xrow, w, row.count, run, wide, y, ys);
            }
          }
        }
    }
  free(copy);
}

bool conv_correlate(const conv_shape *s, bool exchanged, const float *x, const float *kernel, float *y, int lanes, const conv_pool *pool) {
  long d = s->dilation, c = s->c, o = s->o;
  correlation t = {.s = s, .x = x, .y = y, .lanes = lanes};
  t.packed = floats(s->kh * s->kw * c * o); // each tap is of one class
  t.of = malloc(d * d * sizeof *t.of);
  t.rows = malloc(d * sizeof *t.rows);
  t.cols = malloc(d * sizeof *t.cols);
  bool ok = t.packed && t.of && t.rows && t.cols;
  if (ok) {
    for (long a = 0; a < d; a++) {
      t.rows[a] = class_of(a, s->kh, s->top, d);
      t.cols[a] = class_of(a, s->kw, s->left, d);
    }
    float *to = t.packed;
    for (long a = 0; a < d; a++)
      for (long b = 0; b < d; b++) {
        t.of[a * d + b] = to;
        for (long o0 = 0, wide; o0 < o; o0 += wide) {
          wide = panel_width(o - o0, lanes);
          for (long i = t.rows[a].tap; i < s->kh; i += d)
            for (long j = t.cols[b].tap; j < s->kw; j += d)
              for (long k = 0; k < c; k++) {
                const float *tap = kernel + (i * s->kw + j) * c * o;
                for (long v = 0; v < wide; v++) *to++ = exchanged ? tap[(o0 + v) * c + k] : tap[k * o + o0 + v];
              }
        }
      }
    long parts = pool ? 4 * pool->threads : 1;
    t.images = most(1, (s->n + parts - 1) / parts);
    ok = divide(pool, (s->n + t.images - 1) / t.images, correlate_images, &t) && !t.failed;
  }
  free(t.packed);
  free(t.of);
  free(t.rows);
  free(t.cols);
  return ok;
}

typedef struct {
  const conv_shape *s;
  const float *x, *g;
  float *sums; // of each chunk: by panel, [kh, kw, c, the panel's width]
  int lanes;
  long chunks, blocks, wide; // chunks of images by blocks of output channels, which are wide
  atomic_bool failed;
} gradient;

// CLOSE is how many floats of x and g are gone through at a time: a fraction of the first-level cache.
#define CLOSE (6 << 10)

static void gradient_images(void *about, long part) {
  gradient *t = about;
  const conv_shape *s = t->s;
  long chunk = part / t->blocks, from = part % t->blocks * t->wide, to = least(s->o, from + t->wide), c = s->c;
  long lines = s->kh * s->kw * c;
  float *sums = t->sums + chunk * lines * s->o;
  memset(sums + lines * from, 0, lines * (to - from) * sizeof(float));
  long cols = (s->ow - 1) * s->stride + s->kw;
  long band = most(1, (BAND / (cols * c) - s->kh) / s->stride + 1);
  band = least(band, s->oh);
  long close = most(1, CLOSE / (s->stride * cols * c + s->ow * 16));
  float *copy = floats(((band - 1) * s->stride + s->kh) * cols * c);
  if (!copy) {
    atomic_store(&t->failed, true);
    return;
  }
  for (long n = s->n * chunk / t->chunks; n < s->n * (chunk + 1) / t->chunks; n++)
    for (long k0 = 0; k0 < s->oh; k0 += band) {
      long k1 = least(s->oh, k0 + band);
      copy_rows(copy, t->x + n * s->h * s->w * c, s->h, s->w, c, k0 * s->stride - s->top, (k1 - k0 - 1) * s->stride + s->kh, -s->left, cols);
      for (long k = k0; k < k1; k += close) {
        long rows = least(close, k1 - k);
        for (long o = from, wide; o < to; o += wide) {
          wide = panel_width(to - o, t->lanes);
          const float *g = t->g + (n * s->oh + k) * s->ow * s->o + o;
          for (long i = 0; i < s->kh; i++)
            for (long j = 0, taps; j < s->kw; j += taps) {
              taps = least(3, s->kw - j);
              const float *x = copy + (((k - k0) * s->stride + i) * cols + j) * c;
              float *w = sums + lines * o + (i * s->kw + j) * c * wide;
              long xs = s->stride * c, xrow = s->stride * cols * c, grow = s->ow * s->o, wtap = c * wide;
              if (wide == 32) gradient_channels2_16(taps, c, x, xs, c, xrow, g, s->o, grow, s->ow, rows, w, wtap, wide);
              else if (wide == 16 && t->lanes == 16) gradient_channels1_16(taps, c, x, xs, c, xrow, g, s->o, grow, s->ow, rows, w, wtap, wide);
              else if (wide == 16) gradient_channels2_8(taps, c, x, xs, c, xrow, g, s->o, grow, s->ow, rows, w, wtap, wide);
              else gradient_channels1_8(taps, c, x, xs, c, xrow, g, s->o, grow, s->ow, rows, w, wtap, wide);
            }
        }
      }
    }
  free(copy);
}

bool conv_gradient(const conv_shape *s, const float *x, const float *g, float *dw, int lanes, const conv_pool *pool) {
  long lines = s->kh * s->kw * s->c, size = lines * s->o;
  gradient t = {.s = s, .x = x, .g = g, .lanes = lanes};
  // In which order is summed must depend on the shape alone. The sums of all chunks take a megabyte, or are one chunk's.
  t.chunks = least(s->n, most(1, least(32, (1 << 18) / size)));
  t.blocks = most(1, least(s->o / 32, 32 / t.chunks));
  t.wide = (s->o / t.blocks + 31) / 32 * 32;
  t.blocks = (s->o + t.wide - 1) / t.wide;
  t.sums = floats(t.chunks * size);
  if (!t.sums) return false;
  bool ok = divide(pool, t.chunks * t.blocks, gradient_images, &t) && !t.failed;
  for (long k = 1; k < t.chunks; k++)
    for (long i = 0; i < size; i++) t.sums[i] += t.sums[k * size + i];
  for (long o = 0, wide; o < s->o; o += wide) {
    wide = panel_width(s->o - o, lanes);
    for (long i = 0; i < lines; i++) memcpy(dw + i * s->o + o, t.sums + lines * o + i * wide, wide * sizeof(float));
  }
  free(t.sums);
  return ok;
}

typedef struct {
  const matrices *s;
  const float *a, *b;
  float *c;
  int lanes;
  long count; // of the batch in a part
  atomic_bool failed;
} product;

// A row of a is a pixel, and b a kernel of one tap, or, of a turned a, of k rows of one channel.
static void multiply_some(void *about, long part) {
  product *t = about;
  const matrices *s = t->s;
  long m = s->m, k = s->k, n = s->n;
  float *copy = s->turned_b ? floats(k * n) : NULL;
  if (s->turned_b && !copy) {
    atomic_store(&t->failed, true);
    return;
  }
  long rows = s->turned_a ? k : 1, run = s->turned_a ? 1 : k, step = s->turned_a ? 1 : k;
  for (long i = part * t->count; i < least(s->batch, (part + 1) * t->count); i++) {
    const float *a = t->a + i * m * k, *b = t->b + i * k * n;
    if (copy) {
      for (long j = 0; j < n; j++)
        for (long l = 0; l < k; l++) copy[l * n + j] = b[j * k + l];
      b = copy;
    }
    float *c = t->c + i * m * n;
    for (long j = 0, wide; j < n; j += wide) {
      wide = panel_width(n - j, t->lanes);
      if (wide == 32) correlate_row2_16(m, a, step, m, b + j, rows, run, n, c + j, n);
      else if (wide == 16 && t->lanes == 16) correlate_row1_16(m, a, step, m, b + j, rows, run, n, c + j, n);
      else if (wide == 16) correlate_row2_8(m, a, step, m, b + j, rows, run, n, c + j, n);
      else correlate_row1_8(m, a, step, m, b + j, rows, run, n, c + j, n);
    }
  }
  free(copy);
}

bool conv_multiply(const matrices *s, const float *a, const float *b, float *c, int lanes, const conv_pool *pool) {
  product t = {.s = s, .a = a, .b = b, .c = c, .lanes = lanes};
  long parts = pool ? 4 * pool->threads : 1;
  t.count = most(1, (s->batch + parts - 1) / parts);
  return divide(pool, (s->batch + t.count - 1) / t.count, multiply_some, &t) && !t.failed;
}
