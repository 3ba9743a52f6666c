/* Counts what an emulated AArch64 program executes, for qemu-user's plugin interface, version 1 (qemu 6 to 8).
 *
 *     gcc -O2 -shared -fPIC -o count.so count.c
 *
 * The program says where a span begins and ends by asking for the process group of a process that cannot exist,
 * MARK + n: the plugin then prints n and all counts so far. Counts are per block of code, added each time it runs.
 *
 * The interface's functions are declared here, so that qemu's sources are not needed; they are resolved when qemu
 * loads this file. Instruction classes: Arm Architecture Reference Manual for A-profile, C4.1.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MARK 0x554e0000u /* far above any process number that Linux gives out */
#define GETPGID 155      /* AArch64 Linux */
#define ADD_U64 0

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(plugin_id, struct qemu_plugin_tb *);
typedef void (*called)(plugin_id, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t);

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, called);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern void qemu_plugin_outs(const char *);

EXPORT int qemu_plugin_version = 1;

/* The order in which emulate.py reads them. */
enum { ALL, MEMORY, VECTOR, BRANCH, FLOAT_MLA, INT8_DOT, WIDENING_MLA, CLASSES };
static uint64_t counts[CLASSES];

static int is(uint32_t word, uint32_t mask, uint32_t value) { return (word & mask) == value; }

static void classify(uint32_t word, uint64_t *found)
{
    found[ALL]++;
    found[MEMORY] += is(word, 0x0a000000, 0x08000000);
    found[VECTOR] += is(word, 0x0e000000, 0x0e000000);
    found[BRANCH] += is(word, 0x1c000000, 0x14000000);
    /* Of each, the form that takes whole vectors and the one that takes an element. */
    found[FLOAT_MLA] += is(word, 0xbfa0fc00, 0x0e20cc00) || is(word, 0xbf80f400, 0x0f801000);
    found[INT8_DOT] += is(word, 0x9fe0fc00, 0x0e809400) || is(word, 0x9fc0f400, 0x0f80e000);
    found[WIDENING_MLA] += is(word, 0x9f20bc00, 0x0e208000) || is(word, 0x9f007400, 0x0f002000);
}

static void on_translated(plugin_id id, struct qemu_plugin_tb *block)
{
    uint64_t found[CLASSES] = {0};
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        classify(word, found);
    }
    for (int kind = 0; kind < CLASSES; kind++)
        if (found[kind])
            qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counts[kind], found[kind]);
}

static void on_call(plugin_id id, unsigned int cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                    uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    char line[64 + CLASSES * 21];
    if (number != GETPGID || ((uint32_t)a & 0xffff0000u) != MARK)
        return;
    int used = snprintf(line, sizeof line, "mark %u", (unsigned)(a & 0xffff));
    for (int kind = 0; kind < CLASSES; kind++)
        used += snprintf(line + used, sizeof line - used, " %" PRIu64, counts[kind]);
    snprintf(line + used, sizeof line - used, "\n");
    qemu_plugin_outs(line);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
