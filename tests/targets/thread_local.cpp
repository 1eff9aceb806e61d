/* C++ thread_local objects whose constructors and destructors allocate and free, in threads and in the main thread. */
#include <pthread.h>

extern "C" {
#include "target.h"
}

struct Owner {
    char *block;
    Owner() { block = (char *)malloc(4000); } // ALLOC constructed bytes=20000 count=5 live_count=0
    ~Owner()
    {
        void *last = malloc(1500); // ALLOC destructed bytes=7500 count=5 live=7500 live_count=5
        keep(last);
        free(block);
    }
};

static thread_local Owner owner;

static void *worker(void *unused)
{
    owner.block[0] = 1;
    return unused;
}

int main()
{
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        require(!pthread_create(&thread, nullptr, worker, nullptr));
        pthread_join(thread, nullptr);
    }
    worker(nullptr);
    return 0;
}
