/* Storage of the model (event_model.h): some 5 MB, of which short traces touch little, zeroed. One thread; allocates. */
#include "event_model.h"

#include <stdlib.h>
#include <string.h>

struct event_model *event_model_new(uint32_t ring_length)
{
    struct event_model *model = calloc(1, sizeof(*model) + ring_length * sizeof(model->ring[0]));
    if (model)
        model->ring_length = ring_length;
    return model;
}

void event_model_reset(struct event_model *model)
{
    uint32_t ring_length = model->ring_length;
    memset(model, 0, sizeof(*model) + ring_length * sizeof(model->ring[0]));
    model->ring_length = ring_length;
}
