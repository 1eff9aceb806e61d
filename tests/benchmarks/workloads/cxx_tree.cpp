// A C++ program that builds, searches and tears down trees of strings: millions of small blocks of mixed lifetimes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct node {
    std::unique_ptr<node> left, right;
    std::string name;
};

static std::uint64_t state = 88172645463325252u;

static std::uint64_t next_random()
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static std::unique_ptr<node> build(int depth)
{
    auto made = std::make_unique<node>();
    made->name = "node " + std::to_string(next_random() % 100000) + " of this tree";
    if (depth > 0) {
        made->left = build(depth - 1);
        made->right = build(depth - 1);
    }
    return made;
}

static std::size_t weigh(const node &tree)
{
    return tree.name.size() + (tree.left ? weigh(*tree.left) + weigh(*tree.right) : 0);
}

int main(int argc, char **argv)
{
    long size = argc > 1 ? std::atol(argv[1]) : 24000000;
    std::size_t total = 0;
    std::vector<std::unique_ptr<node>> kept;
    std::map<std::string, std::uint64_t> index;
    for (long made = 0; made < size; made += 2047) {
        auto tree = build(10);
        total += weigh(*tree);
        for (int i = 0; i < 200; i++)
            index[tree->name + std::to_string(next_random() % 5000)] += 1;
        if (next_random() % 4 == 0)
            kept.push_back(std::move(tree));
        if (kept.size() > 50)
            kept.erase(kept.begin());
    }
    std::printf("%zu %zu %zu\n", total, index.size(), kept.size());
    return 0;
}
