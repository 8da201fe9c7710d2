/* The closed form of RX + CNOT circuits, LANES tokens at a time; what it computes stands in closed_form.py.
 *
 * With y = exp(-i Phi) xh, the n-cube's edges are plain products: z_k = 2 Re sum_{a: a_k = 0} y_a* y_{a ^ e_k}.
 * A state is `size` vectors, one for each amplitude, a token in each lane. Bits are taken GROUP at a time, so that what
 * a pass turns lies in registers. Compiled with -DREAL=float -DLANES=16 or -DREAL=double
 * -DLANES=8.
 */
#include <stdint.h>
#include <string.h>

enum { GROUP = 3, MOST_BITS = 64 };
typedef REAL vec __attribute__((vector_size(LANES * sizeof(REAL))));
#define INLINE static inline __attribute__((always_inline))

/* CALL for every group of bits, with `bit` its lowest and `g` its size, a constant to the compiler. */
#define EACH_GROUP(bits, CALL) \
    for (long bit = 0; bit < (bits); bit += GROUP) switch ((bits) - bit) { \
        case 1: { enum { g = 1 }; CALL; break; } \
        case 2: { enum { g = 2 }; CALL; break; } \
        default: { enum { g = GROUP }; CALL; } }

/* Every position `a` whose bits of the group are 0; the others of its cube are a + (j << bit), j < 1 << g. */
#define EACH_CUBE(size, bit, g) \
    for (long base = 0; base < (size); base += 1L << ((bit) + (g))) for (long a = base; a < base + (1L << (bit)); a++)

INLINE void transform_group(vec *s, long size, long bit, int g) {
    EACH_CUBE(size, bit, g) {
        vec r[1 << GROUP];
        for (int j = 0; j < 1 << g; j++) r[j] = s[a + ((long)j << bit)];
        for (int half = 1; half < 1 << g; half *= 2)
            for (int j = 0; j < 1 << g; j++)
                if (!(j & half)) {
                    vec low = r[j], high = r[j + half];
                    r[j] = low + high;
                    r[j + half] = low - high;
                }
        for (int j = 0; j < 1 << g; j++) s[a + ((long)j << bit)] = r[j];
    }
}

/* y = exp(-i Phi) xh of one cube, from the tables of cos Phi and sin Phi. */
INLINE void turn(const vec *s, const REAL *cosine, const REAL *sine, long bit, int g, vec *re, vec *im) {
    for (int j = 0; j < 1 << g; j++) {
        long at = (long)j << bit;
        re[j] = s[at] * cosine[at];
        im[j] = s[at] * sine[at];
    }
}

/* z_k of the group's bits k: sums over their edges. */
INLINE void values_group(const vec *s, const REAL *cosine, const REAL *sine, long size, long bit, int g, vec *z) {
    vec of_re[GROUP] = {{0}}, of_im[GROUP] = {{0}};
    EACH_CUBE(size, bit, g) {
        vec re[1 << GROUP], im[1 << GROUP];
        turn(s + a, cosine + a, sine + a, bit, g, re, im);
        for (int j = 0; j < 1 << g; j++)
            for (int k = 0; k < g; k++)
                if (!(j >> k & 1)) {
                    of_re[k] += re[j] * re[j | 1 << k];
                    of_im[k] += im[j] * im[j | 1 << k];
                }
    }
    for (int k = 0; k < g; k++) z[bit + k] = 2 * (of_re[k] + of_im[k]);
}

/* Adds to d = dL/dxh / 2 and to d_phase = dL/dPhi / 2 what the group's edges contribute; grad = dL/dz. */
INLINE void gradients_group(const vec *s, const REAL *cosine, const REAL *sine, const vec *grad, long size, long bit,
                            int g, vec *d, vec *d_phase) {
    EACH_CUBE(size, bit, g) {
        vec re[1 << GROUP], im[1 << GROUP];
        turn(s + a, cosine + a, sine + a, bit, g, re, im);
        for (int j = 0; j < 1 << g; j++) {
            vec u = grad[bit] * re[j ^ 1], v = grad[bit] * im[j ^ 1];
            for (int k = 1; k < g; k++) {
                u += grad[bit + k] * re[j ^ 1 << k];
                v += grad[bit + k] * im[j ^ 1 << k];
            }
            long at = a + ((long)j << bit);
            vec sum = cosine[at] * u + sine[at] * v;
            d[at] = bit ? d[at] + sum : sum;
            d_phase[at] += s[at] * (cosine[at] * v - sine[at] * u);
        }
    }
}

/* Rows become columns: each round interleaves the first half of the vectors with the second. */
#if LANES == 16
typedef int entry;
#define FIRST 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SECOND 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
typedef long long entry;
#define FIRST 0, 8, 1, 9, 2, 10, 3, 11
#define SECOND 4, 12, 5, 13, 6, 14, 7, 15
#endif
#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef entry mask __attribute__((vector_size(LANES * sizeof(REAL))));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif
INLINE void transpose(vec *t) {
    for (int round = 1; round < LANES; round *= 2) {
        vec u[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            u[2 * i] = PICK(t[i], t[i + LANES / 2], FIRST);
            u[2 * i + 1] = PICK(t[i], t[i + LANES / 2], SECOND);
        }
        memcpy(t, u, sizeof u);
    }
}

INLINE vec load(const REAL *x, long count) {
    vec found = {0};
    if (count >= LANES) memcpy(&found, x, sizeof found);
    else memcpy(&found, x, count * sizeof(REAL));
    return found;
}

INLINE void store(REAL *x, vec given, long count) {
    if (count >= LANES) memcpy(x, &given, sizeof given);
    else memcpy(x, &given, count * sizeof(REAL));
}

/* The state xh of `tokens` <= LANES rows of x: amplitude i goes to row send[i], then the Walsh-Hadamard transform. */
static void embed(const REAL *x, const REAL *scale, const int64_t *send, long tokens, long width, long bits, vec *s) {
    memset(s, 0, sizeof(vec) << bits);
    for (long i = 0; i < width; i += LANES) {
        vec t[LANES] = {{0}};
        for (long lane = 0; lane < tokens; lane++) t[lane] = load(x + lane * width + i, width - i) * scale[lane];
        transpose(t);
        for (long j = 0; j < LANES && i + j < width; j++) s[send[i + j]] = t[j];
    }
    EACH_GROUP(bits, transform_group(s, 1L << bits, bit, g))
}

/* z (batch, bits) from x (batch, width), scale (batch), cosine and sine of Phi over sqrt(size) (size), send (size).
 * Column k is wire k, that is bit bits - 1 - k. scratch: size vectors. */
void values(const REAL *x, const REAL *scale, const REAL *cosine, const REAL *sine, const int64_t *send, long batch,
            long width, long bits, REAL *z, vec *scratch) {
    for (long start = 0; start < batch; start += LANES) {
        long tokens = batch - start < LANES ? batch - start : LANES;
        vec of_bits[MOST_BITS];
        embed(x + start * width, scale + start, send, tokens, width, bits, scratch);
        EACH_GROUP(bits, values_group(scratch, cosine, sine, 1L << bits, bit, g, of_bits))
        for (long k = 0; k < bits; k++)
            for (long lane = 0; lane < tokens; lane++) z[(start + lane) * bits + bits - 1 - k] = of_bits[k][lane];
    }
}

/* dL/dx (batch, width) and dL/dPhi (size) from z and dL/dz (batch, bits). scratch: 3 size vectors. */
void gradients(const REAL *x, const REAL *scale, const REAL *cosine, const REAL *sine, const int64_t *send, long batch,
               long width, long bits, const REAL *z, const REAL *grad, REAL *d_x, REAL *d_phase, vec *scratch) {
    long size = 1L << bits;
    vec *s = scratch, *d = s + size, *d_phases = d + size;
    memset(d_phases, 0, sizeof(vec) << bits);
    for (long start = 0; start < batch; start += LANES) {
        long tokens = batch - start < LANES ? batch - start : LANES;
        vec of_bits[MOST_BITS] = {{0}};
        REAL along[LANES] = {0}; /* the part of the gradient along x, which normalising takes away */
        for (long lane = 0; lane < tokens; lane++)
            for (long k = 0; k < bits; k++) {
                long at = (start + lane) * bits + bits - 1 - k;
                of_bits[k][lane] = grad[at];
                along[lane] += grad[at] * z[at];
            }
        embed(x + start * width, scale + start, send, tokens, width, bits, s);
        EACH_GROUP(bits, gradients_group(s, cosine, sine, of_bits, size, bit, g, d, d_phases))
        EACH_GROUP(bits, transform_group(d, size, bit, g))
        for (long i = 0; i < width; i += LANES) {
            vec t[LANES] = {{0}};
            for (long j = 0; j < LANES && i + j < width; j++) t[j] = d[send[i + j]];
            transpose(t);
            for (long lane = 0; lane < tokens; lane++) {
                long at = (start + lane) * width + i;
                REAL unit = scale[start + lane];
                store(d_x + at, 2 * unit * (t[lane] - along[lane] * unit * load(x + at, width - i)), width - i);
            }
        }
    }
    for (long a = 0; a < size; a++) {
        d_phase[a] = 0;
        for (long lane = 0; lane < LANES; lane++) d_phase[a] += 2 * d_phases[a][lane];
    }
}
