/* Allocation in thread-specific destructors, in atexit handlers, in a destructor function, and after the main thread has ended. */
#include <pthread.h>

#include "target.h"

static pthread_key_t early_key, late_key;
static int rounds;

static void early_destructor(void *value)
{
    free(value);
    void *block = malloc(3100); // ALLOC destructor_first bytes=12400 count=4 live=12400 live_count=4
    keep(block);
}

/* Sets itself again: called in every round that POSIX allows. */
static void late_destructor(void *value)
{
    free(value);
    rounds++;
    void *again = malloc(900); // ALLOC destructor_again bytes=900*rounds count=rounds live=900*4 live_count=4
    pthread_setspecific(late_key, again);
}

static void *worker(void *unused)
{
    void *first = malloc(2100); // ALLOC key_value bytes=8400 count=4 live_count=0
    pthread_setspecific(early_key, first);
    void *second = malloc(2200); // ALLOC key_value_again bytes=8800 count=4 live_count=0
    pthread_setspecific(late_key, second);
    return unused;
}

static void at_exit(void)
{
    void *block = malloc(6100); // ALLOC atexit bytes=6100 count=1 live=6100 live_count=1
    keep(block);
    fact("rounds", rounds);
}

__attribute__((destructor)) static void at_unload(void)
{
    void *block = malloc(6200); // ALLOC destructor_function bytes=6200 count=1 live=6200 live_count=1
    keep(block);
}

__attribute__((constructor)) static void at_load(void)
{
    void *block = malloc(6300); // ALLOC constructor_function bytes=6300 count=1 live=6300 live_count=1
    keep(block);
}

static void *survivor(void *main_thread)
{
    pthread_join(*(pthread_t *)main_thread, NULL);
    void *block = malloc(7700); // ALLOC after_main bytes=7700 count=1 live=7700 live_count=1
    keep(block);
    void *gone = malloc(7800); // ALLOC after_main_freed bytes=7800 count=1 live_count=0
    keep(gone);
    free(gone);
    return NULL;
}

int main(void)
{
    static pthread_t main_thread;
    main_thread = pthread_self();
    pthread_key_create(&early_key, early_destructor);
    pthread_key_create(&late_key, late_destructor);
    atexit(at_exit);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        require(!pthread_create(&thread, NULL, worker, NULL));
        pthread_join(thread, NULL);
    }
    pthread_t last;
    require(!pthread_create(&last, NULL, survivor, &main_thread));
    pthread_exit(NULL);
}
