/* Storage of the model (event_model.h): some 600 KB, zeroed. One thread; allocates. */
#include "event_model.h"

#include <stdlib.h>

struct event_model *event_model_new(void)
{
    return calloc(1, sizeof(struct event_model));
}
