/* A job hook over POSIX threads for tests: run_ctx points to the number of threads. Jobs are handed out from the last to the first, so that
   code which leans on their order is caught. WebAssembly has no threads here: there jobs run one after another, in that same order. */
#ifndef MOSAIC_TEST_THREADS_H
#define MOSAIC_TEST_THREADS_H

#ifdef __wasm__
static inline void test_run(void *run_ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    (void)run_ctx;
    while (count--) job(arg, count);
}
#else
#include <pthread.h>

typedef struct test_jobs {
    void (*job)(void *arg, int index);
    void *arg;
    int next;
    pthread_mutex_t lock;
} test_jobs;

static void *test_worker(void *context)
{
    test_jobs *jobs = (test_jobs *)context;
    for (;;) {
        int index;
        pthread_mutex_lock(&jobs->lock);
        index = --jobs->next;
        pthread_mutex_unlock(&jobs->lock);
        if (index < 0) return NULL;
        jobs->job(jobs->arg, index);
    }
}

static inline void test_run(void *run_ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    pthread_t thread[16];
    test_jobs jobs;
    int i, threads = *(const int *)run_ctx;
    jobs.job = job;
    jobs.arg = arg;
    jobs.next = count;
    pthread_mutex_init(&jobs.lock, NULL);
    for (i = 0; i < threads; i++) pthread_create(&thread[i], NULL, test_worker, &jobs);
    for (i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&jobs.lock);
}
#endif

#endif
