/* queue.h - a bounded queue of equal buffers between one producing and one consuming thread.

   The buffers belong to the queue and are filled and read in place. Either side may end it: the producer with queue_finish (the consumer still gets
   what is there), the consumer with queue_stop (the producer's next call returns null). */
#ifndef MOSAIC_UTIL_QUEUE_H
#define MOSAIC_UTIL_QUEUE_H

#include <pthread.h>
#include <stdlib.h>

enum { QUEUE_MOST = 16 };

typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned char *slot[QUEUE_MOST];
    int slots, first, filled; /* filled slots follow `first`; the one after them is the producer's */
    int finished, stopped;
} queue;

static inline void queue_free(queue *q)
{
    int i;
    if (!q->slots) return;
    for (i = 0; i < q->slots; i++) free(q->slot[i]);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->moved);
    q->slots = 0;
}

/* 0, or -1 when memory is short. */
static inline int queue_init(queue *q, int slots, size_t bytes)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->moved, NULL);
    q->slots = q->first = q->filled = q->finished = q->stopped = 0;
    while (q->slots < slots && q->slots < QUEUE_MOST) {
        q->slot[q->slots] = (unsigned char *)malloc(bytes);
        if (!q->slot[q->slots]) {
            queue_free(q);
            return -1;
        }
        q->slots++;
    }
    return 0;
}

static inline void queue__set(queue *q, int *flag)
{
    pthread_mutex_lock(&q->lock);
    *flag = 1;
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->lock);
}

static inline void queue_finish(queue *q) { queue__set(q, &q->finished); }
static inline void queue_stop(queue *q) { queue__set(q, &q->stopped); }

/* The buffer to fill next: waits for a free one; null once the consumer has stopped. */
static inline unsigned char *queue_room(queue *q)
{
    unsigned char *slot;
    pthread_mutex_lock(&q->lock);
    while (q->filled == q->slots && !q->stopped) pthread_cond_wait(&q->moved, &q->lock);
    slot = q->stopped ? NULL : q->slot[(q->first + q->filled) % q->slots];
    pthread_mutex_unlock(&q->lock);
    return slot;
}

static inline void queue_put(queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->filled++;
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->lock);
}

/* The oldest filled buffer: waits for one; null once the producer has finished and all are read. */
static inline const unsigned char *queue_front(queue *q)
{
    const unsigned char *slot;
    pthread_mutex_lock(&q->lock);
    while (!q->filled && !q->finished) pthread_cond_wait(&q->moved, &q->lock);
    slot = q->filled ? q->slot[q->first] : NULL;
    pthread_mutex_unlock(&q->lock);
    return slot;
}

static inline void queue_drop(queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->first = (q->first + 1) % q->slots;
    q->filled--;
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->lock);
}

#endif
