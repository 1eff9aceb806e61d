/* Becomes another program. Usage: launcher PROGRAM [ARG …]. Linked statically: it passes its environment on, without having been recorded. */
#include "target.h"

int main(int argc, char **argv)
{
    require(argc >= 2);
    execv(argv[1], argv + 1);
    return 93;
}
