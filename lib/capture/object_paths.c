/* What keeps the targets of a walk alive (object_walk.h): from the node that met each of them back to a root, and for each step the name under
 * which one refers to the next: a global, an attribute, a key, an index, a variable.
 *
 * A line a step: kind, name, type, with tabs between them. Objects that only hold another's contents are left out: a module's dictionary,
 * an instance's, a closure and its cells. */
#include "object_walk.h"
#include "python_stack.h"
#include "python_text.h"

#define MAX_NAME_BYTES 120
#define MAX_KEY_ITEMS 3
#define MAX_INSTANCE_VALUES 256
#define MAX_BASES 64

struct path {
    struct object_walk *walk;
    uint64_t objects[WALK_MAX_DEPTH]; /* from the root to the target; frames as NODE_IS_FRAME has it */
    uint32_t count;
    int is_cut;                       /* there was more between the root and the second one */
    uint32_t used;                    /* of walk->text */
};

/* ---- text ---- */

static void put_character(struct path *path, char character)
{
    if (path->used < SURVEY_MAX_TEXT_BYTES)
        path->walk->text[path->used++] = (unsigned char)character < ' ' || character == 127 ? '?' : character;
}

static void put_text(struct path *path, const char *text)
{
    while (*text)
        put_character(path, *text++);
}

static void put_mark(struct path *path, char mark)
{
    if (path->used < SURVEY_MAX_TEXT_BYTES)
        path->walk->text[path->used++] = mark;
}

static void put_number(struct path *path, uint64_t number)
{
    char digits[24];
    uint32_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        put_character(path, digits[--count]);
}

static uint64_t type_of(const struct path *path, uint64_t object)
{
    return object & NODE_IS_FRAME ? path->walk->api->frame_type : object_type(object);
}

static enum object_kind kind_of(const struct path *path, uint64_t object)
{
    if (object & NODE_IS_FRAME)
        return KIND_FRAME;
    const struct object_type_entry *entry = object_type_find(path->walk, object_type(object));
    return entry ? (enum object_kind)entry->kind : KIND_OTHER;
}

static void put_type(struct path *path, uint64_t object)
{
    char name[SURVEY_TYPE_NAME_BYTES];
    object_type_name(path->walk, type_of(path, object), name);
    put_text(path, name);
}

/* Characters of a str, without marks around it. */
static void put_characters(struct path *path, uint64_t object)
{
    char bytes[PYTHON_TEXT_BYTES];
    uint32_t count = python_text_copy(&python_stack_layout, object, bytes);
    uint32_t shown = count;
    if (count > MAX_NAME_BYTES)
        for (shown = MAX_NAME_BYTES; (bytes[shown] & 0xc0) == 0x80;)
            shown--;
    for (uint32_t i = 0; i < shown; i++)
        put_character(path, bytes[i]);
    if (shown < count)
        put_text(path, "...");
}

/* An int of at most two digits in CPython's base of 2^30; others by their type. */
static int put_int(struct path *path, uint64_t object)
{
    uint64_t tag = python_read_word(object, OBJECT_SIZE), count;
    int negative;
    if (path->walk->layout->version >= VERSION_3_12) {
        count = tag >> 3;
        negative = (tag & 3) == 2;
    } else {
        negative = (int64_t)tag < 0;
        count = negative ? 0 - tag : tag;
    }
    if (count > 2)
        return 0;
    uint64_t value = count > 0 ? (uint32_t)python_read_int(object, LONG_DIGITS) : 0;
    if (count > 1)
        value |= (uint64_t)(uint32_t)python_read_int(object, LONG_DIGITS + 4) << 30;
    if (negative)
        put_character(path, '-');
    put_number(path, value);
    return 1;
}

static void put_key(struct path *path, uint64_t object, int depth);

static void put_tuple(struct path *path, uint64_t object, int depth)
{
    uint64_t count = python_read_word(object, OBJECT_SIZE);
    put_character(path, '(');
    for (uint64_t i = 0; i < count && i < MAX_KEY_ITEMS; i++) {
        if (i)
            put_text(path, ", ");
        put_key(path, python_read_word(object, path->walk->layout->tuple_items + 8 * (int)i), depth + 1);
    }
    put_text(path, count > MAX_KEY_ITEMS ? ", ...)" : count == 1 ? ",)" : ")");
}

/* As Python would write it where that takes none of its code; else the type in <>. */
static void put_key(struct path *path, uint64_t object, int depth)
{
    const struct object_api *api = path->walk->api;
    uint64_t type = object ? object_type(object) : 0;
    if (type == api->text_type) {
        put_character(path, '\'');
        put_characters(path, object);
        put_character(path, '\'');
        return;
    }
    if (type == api->bool_type) {
        put_text(path, python_read_int(object, LONG_DIGITS) ? "True" : "False");
        return;
    }
    if (type == api->long_type && put_int(path, object))
        return;
    if (object && kind_of(path, object) == KIND_TUPLE && depth < 2) {
        put_tuple(path, object, depth);
        return;
    }
    put_character(path, '<');
    if (object)
        put_type(path, object);
    put_character(path, '>');
}

/* ---- steps ---- */

static void begin_step(struct path *path, const char *kind)
{
    put_text(path, kind);
    put_mark(path, '\t');
}

static void end_step(struct path *path, uint64_t object)
{
    put_mark(path, '\t');
    put_type(path, object);
    put_mark(path, '\n');
}

static void put_step(struct path *path, const char *kind, const char *name, uint64_t object)
{
    begin_step(path, kind);
    put_text(path, name);
    end_step(path, object);
}

/* The key whose value this is. `kind` of a text key: it becomes the name as it is; NULL: keys as Python writes them. 0: it isn't there. */
static int put_value_of(struct path *path, uint64_t dictionary, uint64_t object, const char *kind)
{
    int64_t position = 0;
    void *key, *value;
    if (!dictionary || kind_of(path, dictionary) != KIND_DICT)
        return 0;
    while (path->walk->api->next_item((void *)dictionary, &position, &key, &value)) {
        if ((uint64_t)value != object && (uint64_t)key != object)
            continue;
        int is_key = (uint64_t)value != object;
        int is_name = kind && !is_key && object_type((uint64_t)key) == path->walk->api->text_type;
        begin_step(path, is_name ? kind : is_key ? "as key" : "key");
        if (is_name)
            put_characters(path, (uint64_t)key);
        else
            put_key(path, (uint64_t)key, 0);
        end_step(path, object);
        return 1;
    }
    return 0;
}

static int put_item_of(struct path *path, uint64_t items, uint64_t count, uint64_t object)
{
    for (uint64_t i = 0; i < count; i++)
        if (python_read_word(items + 8 * i, 0) == object) {
            begin_step(path, "index");
            put_number(path, i);
            end_step(path, object);
            return 1;
        }
    return 0;
}

/* ---- attributes ---- */

/* Of an instance that keeps its values without a dictionary: the keys are its class's. */
static int put_inline_value(struct path *path, uint64_t holder, uint64_t object)
{
    uint64_t type = object_type(holder);
    const uint64_t *values = object_values(path->walk->layout, holder, type_flags(type));
    uint64_t keys = values ? python_read_word(type, path->walk->layout->type_shared_keys) : 0;
    if (!keys)
        return 0;
    uint64_t count = python_read_word(keys, KEYS_ENTRY_COUNT);
    uint64_t entries = keys + KEYS_INDICES + (1ull << python_read_byte(keys, KEYS_INDEX_LOG));
    for (uint64_t i = 0; i < count && i < MAX_INSTANCE_VALUES; i++)
        if (values[i] == object) {
            begin_step(path, "attribute");
            put_characters(path, python_read_word(entries + 16 * i, 0));
            end_step(path, object);
            return 1;
        }
    return 0;
}

/* Members by offset: __slots__, and what C types name so. PyMemberDef: name, type, offset, flags, doc; T_OBJECT is 6, T_OBJECT_EX 16. */
static int put_member(struct path *path, uint64_t holder, uint64_t object)
{
    uint64_t type = object_type(holder);
    for (int i = 0; type && i < MAX_BASES; i++, type = python_read_word(type, TYPE_BASE)) {
        uint64_t member = python_read_word(type, TYPE_MEMBERS);
        for (int k = 0; member && k < MAX_INSTANCE_VALUES && python_read_word(member, 0); k++, member += 40) {
            int32_t member_type = python_read_int(member, 8);
            uint64_t offset = python_read_word(member, 16);
            if ((member_type != 6 && member_type != 16) || offset >= 1 << 20 || python_read_word(holder, (int)offset) != object)
                continue;
            put_step(path, "attribute", (const char *)python_read_word(member, 0), object);
            return 1;
        }
    }
    return 0;
}

/* ---- frames ---- */

static uint64_t slot_name(const struct object_layout *layout, uint64_t code, uint32_t slot)
{
    const int16_t places[] = {layout->code_slot_names, layout->code_cell_names, layout->code_free_names};
    for (unsigned i = 0; i < ARRAY_LENGTH(places) && places[i] != PYTHON_NONE; i++) {
        uint64_t names = python_read_word(code, places[i]);
        uint32_t count = (uint32_t)python_read_word(names, OBJECT_SIZE);
        if (slot < count)
            return python_read_word(names, layout->tuple_items + 8 * (int)slot);
        slot -= count;
    }
    return 0;
}

/* The variable that is this object; `shown` is what the step ends at: the object, or what its cell holds. */
static int put_slot(struct path *path, uint64_t frame, uint64_t code, uint64_t object, uint64_t shown)
{
    const struct object_layout *layout = path->walk->layout;
    uint32_t count = object_frame_slots(layout, code);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = python_read_word(frame, layout->frame_slots + 8 * (int)i);
        uint64_t name = (layout->version >= 0x030e ? value & ~3ull : value) == object ? slot_name(layout, code, i) : 0;
        if (!name)
            continue;
        begin_step(path, "local");
        put_characters(path, name);
        end_step(path, shown);
        return 1;
    }
    return 0;
}

/* Steps from a frame to objects[i]. Returns how many of the objects it has taken: 0, none has a name. */
static uint32_t put_from_frame(struct path *path, uint64_t frame, uint32_t i)
{
    const struct object_layout *layout = path->walk->layout;
    uint64_t code = python_frame_code(&python_stack_layout, frame), object = path->objects[i];
    int has_next = i + 1 < path->count;
    uint64_t next = has_next ? path->objects[i + 1] : 0;
    if (has_next && kind_of(path, object) == KIND_CELL && put_slot(path, frame, code, object, next))
        return 2;
    if (put_slot(path, frame, code, object, object))
        return 1;
    if (has_next && object == python_read_word(frame, layout->frame_globals) && put_value_of(path, object, next, "global"))
        return 2;
    if (has_next && object == python_read_word(frame, layout->frame_locals) && put_value_of(path, object, next, "local"))
        return 2;
    put_step(path, "stack", "", object);
    return 1;
}

/* ---- from one object to the next ---- */

/* A function's closure holds cells, which hold what it uses. */
static uint32_t put_closure(struct path *path, uint64_t function, uint32_t i)
{
    const struct object_layout *layout = path->walk->layout;
    uint64_t closure = path->objects[i], code = python_read_word(function, layout->function_code);
    if (i + 2 >= path->count || closure != python_read_word(function, layout->function_closure) || kind_of(path, closure) != KIND_TUPLE)
        return 0;
    uint64_t cell = path->objects[i + 1], count = python_read_word(closure, OBJECT_SIZE);
    for (uint32_t k = 0; k < count; k++) {
        if (python_read_word(closure, layout->tuple_items + 8 * (int)k) != cell)
            continue;
        uint64_t names = python_read_word(code, layout->code_free_names != PYTHON_NONE ? layout->code_free_names : layout->code_slot_names);
        uint64_t first = layout->code_free_names != PYTHON_NONE
                             ? 0 : python_read_word(names, OBJECT_SIZE) - (uint32_t)python_read_int(code, layout->code_free_count);
        begin_step(path, "closure");
        put_characters(path, python_read_word(names, layout->tuple_items + 8 * (int)(first + k)));
        end_step(path, path->objects[i + 2]);
        return 3;
    }
    return 0;
}

static uint64_t dictionary_of(const struct path *path, uint64_t holder, enum object_kind kind)
{
    uint64_t type = object_type(holder);
    if (kind == KIND_MODULE)
        return python_read_word(holder, MODULE_DICT);
    if (kind == KIND_TYPE)
        return python_read_word(holder, TYPE_DICT);
    return object_dictionary(path->walk->layout, holder, type, type_flags(type));
}

static uint32_t put_attribute(struct path *path, uint64_t holder, enum object_kind kind, uint32_t i)
{
    uint64_t object = path->objects[i], dictionary = dictionary_of(path, holder, kind);
    if (dictionary && object == dictionary) {
        if (i + 1 < path->count && put_value_of(path, dictionary, path->objects[i + 1], kind == KIND_MODULE ? "global" : "attribute"))
            return 2;
        put_step(path, "attribute", "__dict__", object);
        return 1;
    }
    /* Interpreters that share an instance's values with its dictionary name them to whoever asks the instance. */
    if (put_inline_value(path, holder, object) || put_member(path, holder, object) || put_value_of(path, dictionary, object, "attribute"))
        return 1;
    return 0;
}

static int put_content(struct path *path, uint64_t holder, enum object_kind kind, uint64_t object)
{
    switch (kind) {
    case KIND_DICT:
        return put_value_of(path, holder, object, NULL);
    case KIND_LIST:
        return put_item_of(path, python_read_word(holder, LIST_ITEMS), python_read_word(holder, OBJECT_SIZE), object);
    case KIND_TUPLE:
        return put_item_of(path, holder + (uint64_t)path->walk->layout->tuple_items, python_read_word(holder, OBJECT_SIZE), object);
    case KIND_SET:
        put_step(path, "element", "", object);
        return 1;
    case KIND_CELL:
        put_step(path, "cell", "", object);
        return 1;
    default:
        return 0;
    }
}

/* One step from objects[i - 1]. Returns how many objects it leads on. */
static uint32_t put_next(struct path *path, uint32_t i)
{
    uint64_t holder = path->objects[i - 1], object = path->objects[i];
    const struct object_layout *layout = path->walk->layout;
    enum object_kind kind = kind_of(path, holder);
    uint32_t taken = 0;
    if (holder & NODE_IS_FRAME)
        return put_from_frame(path, holder - NODE_IS_FRAME, i);
    if (kind == KIND_FRAME && layout->frame_function == PYTHON_NONE)
        return put_from_frame(path, holder, i);
    if (kind == KIND_FRAME)
        return put_from_frame(path, python_read_word(holder, FRAME_OBJECT_FRAME), i);
    if (kind == KIND_GENERATOR && layout->generator_frame != PYTHON_NONE)
        return put_from_frame(path, holder + (uint64_t)layout->generator_frame, i);
    if (kind == KIND_FUNCTION)
        taken = put_closure(path, holder, i);
    if (!taken && put_content(path, holder, kind, object))
        taken = 1;
    if (!taken && object == object_type(holder)) {
        put_step(path, "type", "", object);
        taken = 1;
    }
    if (!taken)
        taken = put_attribute(path, holder, kind, i);
    if (!taken) {
        put_step(path, "in", "", object);
        taken = 1;
    }
    return taken;
}

/* ---- roots ---- */

static void put_frame_root(struct path *path, uint64_t frame)
{
    uint64_t code = python_frame_code(&python_stack_layout, frame);
    begin_step(path, "frame");
    put_characters(path, python_read_word(code, python_stack_layout.code_name));
    put_mark(path, '\t');
    put_characters(path, python_read_word(code, python_stack_layout.code_file));
    put_mark(path, '\n');
}

static void put_root(struct path *path, uint32_t root)
{
    uint64_t object = path->objects[0], name;
    switch (root) {
    case ROOT_MODULE:
        begin_step(path, "module");
        name = kind_of(path, object) == KIND_MODULE ? python_read_word(object, path->walk->layout->module_name) : 0;
        if (name)
            put_characters(path, name);
        end_step(path, object);
        break;
    case ROOT_FRAME:
        put_frame_root(path, object & ~NODE_IS_FRAME);
        break;
    case ROOT_INTERPRETER:
        put_step(path, "interpreter", "sys.modules", object);
        break;
    default:
        put_step(path, "unreached", "", object);
    }
}

/* Fills objects from the target backwards to the root. Returns the root's kind. */
static uint32_t collect(struct path *path, const struct found_target *target)
{
    uint64_t objects[WALK_MAX_DEPTH];
    uint32_t count = 0, parent = target->parent;
    objects[count++] = target->object;
    while (parent < ROOT_FIRST) {
        struct object_node node = object_memory_node(&path->walk->memory, parent);
        if (count == WALK_MAX_DEPTH) { /* the root takes the place of what is too far from the target */
            path->is_cut = 1;
            count--;
        }
        objects[count++] = node.object;
        parent = node.parent;
    }
    path->count = count;
    for (uint32_t i = 0; i < count; i++)
        path->objects[i] = objects[count - 1 - i];
    return parent;
}

static void put_path(struct object_walk *walk, uint32_t target)
{
    struct path path = {.walk = walk};
    uint32_t root = collect(&path, &walk->found[target]);
    put_root(&path, root);
    uint32_t i = 1;
    if (path.is_cut && path.count > 1) {
        put_step(&path, "cut", "", path.objects[1]);
        i = 2;
    }
    while (i < path.count && path.used < SURVEY_MAX_TEXT_BYTES - 2048)
        i += put_next(&path, i);
    object_walk_put_text(walk, SURVEY_PATH, target, walk->text, path.used);
}

/* Of each stack's targets and type a few; an object once, though blocks of its own may have been chosen too. */
static int is_enough(const struct object_walk *walk, uint32_t target)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < target; i++) {
        if (walk->found[i].object == walk->found[target].object && walk->survey->target_stacks[i] == walk->survey->target_stacks[target])
            return 1;
        same += walk->found[i].is_told && walk->survey->target_stacks[i] == walk->survey->target_stacks[target] &&
                walk->found[i].type_id == walk->found[target].type_id;
    }
    return same >= walk->survey->paths_per_type;
}

void object_paths_put(struct object_walk *walk)
{
    for (uint32_t i = 0; i < walk->survey->target_count; i++)
        if (walk->found[i].object && !is_enough(walk, i)) {
            walk->found[i].is_told = 1;
            put_path(walk, i);
        }
}
