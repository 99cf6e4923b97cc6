/* skipgram_kernel.c - the step, eight lanes at a time where the CPU has them.
 *
 * The sigmoid and its logarithm come from a table: beyond +-8 the gradient is taken as
 * that at the end. 1024 entries put the error at 2e-3 of a learning rate's step, and
 * leave the nearest cache to the vectors.
 *
 * Threads: the table is filled once (pthread_once), then read by all.
 */
#include "core/annotate/skipgram_kernel.h"

#include <math.h>
#include <pthread.h>

#include "core/base/wide.h"

enum { ENTRIES = 1024, REACH = 8 };

static float sigmoid[ENTRIES], log_sigmoid[ENTRIES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int i = 0; i < ENTRIES; i++) {
        double x = ((i + 0.5) / ENTRIES * 2 - 1) * REACH;
        sigmoid[i] = (float)(1 / (1 + exp(-x)));
        log_sigmoid[i] = (float)-log1p(exp(-x));
    }
}

static size_t entry(float x)
{
    float at = (x + REACH) * ((float)ENTRIES / (2 * REACH));
    return at <= 0 ? 0 : at >= ENTRIES - 1 ? ENTRIES - 1 : (size_t)at;
}

/* Dots in, rate times errors out; returns the loss. */
static float errors(float *x, size_t n, float rate)
{
    float loss = -log_sigmoid[entry(x[0])];
    x[0] = rate * (1 - sigmoid[entry(x[0])]);
    for (size_t i = 1; i < n; i++) {
        loss -= log_sigmoid[entry(-x[i])];
        x[i] = -rate * sigmoid[entry(x[i])];
    }
    return loss;
}

float ps_skipgram_step_plain(float *word, const ps_targets *t, size_t stride, float rate)
{
    float x[PS_TARGETS_MAX];
    pthread_once(&once, fill);
    for (size_t i = 0; i < t->n; i++) {
        float sum = 0;
        for (size_t d = 0; d < stride; d++)
            sum += word[d] * t->vector[i][d];
        x[i] = sum;
    }
    float loss = errors(x, t->n, rate);
    for (size_t d = 0; d < stride; d++) {
        float move = 0, w = word[d];
        for (size_t i = 0; i < t->n; i++) {
            move += x[i] * t->vector[i][d];
            t->vector[i][d] += x[i] * w;
        }
        word[d] += move;
    }
    return loss;
}

#if defined(__x86_64__)

PS_WIDE_INLINE float dot(const float *a, const float *b, size_t stride)
{
    __m256 s = _mm256_setzero_ps(), r = s;
    size_t d = 0;
    for (; d + 16 <= stride; d += 16) {
        s = _mm256_fmadd_ps(_mm256_loadu_ps(a + d), _mm256_loadu_ps(b + d), s);
        r = _mm256_fmadd_ps(_mm256_loadu_ps(a + d + 8), _mm256_loadu_ps(b + d + 8), r);
    }
    if (d < stride)
        s = _mm256_fmadd_ps(_mm256_loadu_ps(a + d), _mm256_loadu_ps(b + d), s);
    return ps_wide_sum(_mm256_add_ps(s, r));
}

/* 8 * n numbers of the word and of every target, moved by each other. */
PS_WIDE_INLINE void move_strip(float *word, const ps_targets *t, size_t d, const float *x,
                               int n)
{
    __m256 w[2], move[2];
    for (int j = 0; j < n; j++)
        w[j] = move[j] = _mm256_loadu_ps(word + 8 * j);
    for (size_t i = 0; i < t->n; i++) {
        __m256 g = _mm256_broadcast_ss(&x[i]);
        float *target = t->vector[i] + d;
        for (int j = 0; j < n; j++) {
            __m256 v = _mm256_loadu_ps(target + 8 * j);
            move[j] = _mm256_fmadd_ps(g, v, move[j]);
            _mm256_storeu_ps(target + 8 * j, _mm256_fmadd_ps(g, w[j], v));
        }
    }
    for (int j = 0; j < n; j++)
        _mm256_storeu_ps(word + 8 * j, move[j]);
}

static PS_WIDE float step_wide(float *word, const ps_targets *t, size_t stride,
                               float rate)
{
    float x[PS_TARGETS_MAX];
    for (size_t i = 0; i < t->n; i++)
        x[i] = dot(word, t->vector[i], stride);
    float loss = errors(x, t->n, rate);
    size_t d = 0;
    for (; d + 16 <= stride; d += 16)
        move_strip(word + d, t, d, x, 2);
    if (d < stride)
        move_strip(word + d, t, d, x, 1);
    return loss;
}
#else
#define step_wide ps_skipgram_step_plain
#endif

float ps_skipgram_step(float *word, const ps_targets *targets, size_t stride, float rate)
{
    pthread_once(&once, fill);
    return ps_cpu_wide() ? step_wide(word, targets, stride, rate)
                         : ps_skipgram_step_plain(word, targets, stride, rate);
}
