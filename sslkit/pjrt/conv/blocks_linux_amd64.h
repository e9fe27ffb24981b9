// The inner loops of kernels_linux_amd64.c, which includes this file once for each width of vectors, with LANES (floats in a
// vector), NAME(f) and TARGET set. Vectors lie along the output channels, so that the order in which a value's products are
// summed, and with it the result bit for bit, is the same for every width.

#if LANES == 16
#define VEC __m512
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define ZERO _mm512_setzero_ps
#define SPREAD _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#else
#define VEC __m256
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define ZERO _mm256_setzero_ps
#define SPREAD _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#endif

// correlate_block computes P neighbouring pixels by V vectors of output channels. P, V and, where it can, xs are constants.
INLINE TARGET void NAME(correlate_block)(const int P, const int V, const float *x, const long xs, long xrow, const float *w, long rows, long run, long ws, float *y, long ys) {
  VEC sum[MAX_P][MAX_V];
  UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < V; v++) sum[p][v] = ZERO();
  for (long i = 0; i < rows; i++, x += xrow)
    for (long t = 0; t < run; t++, w += ws) {
      VEC b[MAX_V];
      UNROLL for (int v = 0; v < V; v++) b[v] = LOAD(w + LANES * v);
      UNROLL for (int p = 0; p < P; p++) {
        VEC a = SPREAD(x[p * xs + t]);
        UNROLL for (int v = 0; v < V; v++) sum[p][v] = FMA(a, b[v], sum[p][v]);
      }
    }
  UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < V; v++) STORE(y + p * ys + LANES * v, sum[p][v]);
}

#define BLOCK(P, V, XS) NAME(correlate_block)(P, V, x, XS, xrow, w, rows, run, ws, y, ys)
// The step between pixels as a constant saves the address arithmetic; these are the usual ones.
#define STEPS(P, V) \
  switch (xs) { case 16: BLOCK(P, V, 16); break; case 32: BLOCK(P, V, 32); break; case 64: BLOCK(P, V, 64); break; \
    case 128: BLOCK(P, V, 128); break; default: BLOCK(P, V, xs); }

// correlate_row computes n neighbouring pixels by V vectors of output channels.
#define CORRELATE_ROW(V, P0) \
  static TARGET void NAME(correlate_row##V)(long n, const float *x, long xs, long xrow, const float *w, long rows, long run, long ws, float *y, long ys) { \
    while (n > 0) { \
      long p; \
      if (n >= P0) { p = P0; STEPS(P0, V) } \
      else if (P0 > 6 && n >= 6) { p = 6; BLOCK(6, V, xs); } \
      else if (P0 > 4 && n >= 4) { p = 4; BLOCK(4, V, xs); } \
      else if (n >= 2) { p = 2; BLOCK(2, V, xs); } \
      else { p = 1; BLOCK(1, V, xs); } \
      n -= p; x += p * xs; y += p * ys; \
    } \
  }
#if LANES == 16
CORRELATE_ROW(1, 16)
CORRELATE_ROW(2, 8)
#else
CORRELATE_ROW(1, 8)
CORRELATE_ROW(2, 4)
#endif

// gradient_block adds to T taps of a row by B input channels by V vectors of output channels what a block of pixels gives.
INLINE TARGET void NAME(gradient_block)(const int T, const int B, const int V, const float *x, long xs, long xtap, long xrow, const float *g, long gs, long grow, long n, long rows, float *dw, long wtap, long ws) {
  VEC sum[MAX_T][MAX_B][MAX_V];
  UNROLL for (int t = 0; t < T; t++) UNROLL for (int c = 0; c < B; c++) UNROLL for (int v = 0; v < V; v++) sum[t][c][v] = LOAD(dw + t * wtap + c * ws + LANES * v);
  for (long i = 0; i < rows; i++, x += xrow, g += grow) {
    const float *a = x, *e = g;
    for (long k = 0; k < n; k++, a += xs, e += gs) {
      VEC b[MAX_V];
      UNROLL for (int v = 0; v < V; v++) b[v] = LOAD(e + LANES * v);
      UNROLL for (int t = 0; t < T; t++) UNROLL for (int c = 0; c < B; c++) {
        VEC f = SPREAD(a[t * xtap + c]);
        UNROLL for (int v = 0; v < V; v++) sum[t][c][v] = FMA(f, b[v], sum[t][c][v]);
      }
    }
  }
  UNROLL for (int t = 0; t < T; t++) UNROLL for (int c = 0; c < B; c++) UNROLL for (int v = 0; v < V; v++) STORE(dw + t * wtap + c * ws + LANES * v, sum[t][c][v]);
}

#define GRADIENT(T, B, V) NAME(gradient_block)(T, B, V, x, xs, xtap, xrow, g, gs, grow, n, rows, dw, wtap, ws)
#define GRADIENT_TAPS(B, V) \
  switch (taps) { case 3: GRADIENT(3, B, V); break; case 2: GRADIENT(2, B, V); break; default: GRADIENT(1, B, V); }

// gradient_channels does the same for any number of input channels, and 1 to 3 taps.
#define GRADIENT_CHANNELS(V, B0) \
  static TARGET void NAME(gradient_channels##V)(int taps, long channels, const float *x, long xs, long xtap, long xrow, const float *g, long gs, long grow, long n, long rows, float *dw, long wtap, long ws) { \
    while (channels > 0) { \
      long b; \
      if (channels >= B0) { b = B0; GRADIENT_TAPS(B0, V) } \
      else if (B0 > 4 && channels >= 4) { b = 4; GRADIENT_TAPS(4, V) } \
      else if (B0 > 3 && channels >= 3) { b = 3; GRADIENT_TAPS(3, V) } \
      else if (B0 > 2 && channels >= 2) { b = 2; GRADIENT_TAPS(2, V) } \
      else { b = 1; GRADIENT_TAPS(1, V) } \
      channels -= b; x += b; dw += b * ws; \
    } \
  }
#if LANES == 16
GRADIENT_CHANNELS(1, 8)
GRADIENT_CHANNELS(2, 4)
#else
GRADIENT_CHANNELS(1, 4)
GRADIENT_CHANNELS(2, 2)
#endif

#undef VEC
#undef LOAD
#undef STORE
#undef ZERO
#undef SPREAD
#undef FMA
#undef BLOCK
#undef STEPS
#undef CORRELATE_ROW
#undef GRADIENT
#undef GRADIENT_TAPS
#undef GRADIENT_CHANNELS
#undef LANES
#undef NAME
#undef TARGET
