/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Shared libraries that are loaded when the first of their functions is called, not when the program starts.
 *
 * `vmafx` has commands that decode, speak gRPC, draw. All of their libraries together are some two hundred files,
 * whose loading takes longer than a short scoring of a y4m file. So for every function of theirs that the program
 * calls there is one of the same name here. It jumps to where its slot points: at first to what looks the function up,
 * later to the function itself. Callers notice nothing: arguments stay where they are. The linker, which finds the
 * names here, leaves the libraries out.
 *
 * The build makes the list (tools/delay-load); src/meson.build says for which libraries. One that cannot be loaded
 * ends the program with the words and the exit code that the system's loader would have had for it at the start.
 * A program that needs a library in any case (the scorer FFmpeg, daemons gRPC) does without all this.
 */

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOADER_FAILED 127 /* what the system's loader exits with */

#define FOR_ASSEMBLER __attribute__((visibility("hidden"), used))

static const struct {
    const char *library, *name;
} functions[] = {
#define DELAY_LOAD(number, library, name) [number] = { library, #name },
#include DELAY_LOAD_LIST
#undef DELAY_LOAD
};

#define DELAY_LOAD(number, library, name) extern char delay_load_first_##number[];
#include DELAY_LOAD_LIST
#undef DELAY_LOAD

extern void *_Atomic delay_load_slots[];
FOR_ASSEMBLER void *_Atomic delay_load_slots[] = {
#define DELAY_LOAD(number, library, name) [number] = delay_load_first_##number,
#include DELAY_LOAD_LIST
#undef DELAY_LOAD
};

static _Noreturn void give_up(void)
{
    const char *why = dlerror();

    fprintf(stderr, "vmafx: error while loading shared libraries: %s\n", why ? why : "no reason is given");
    _exit(LOADER_FAILED);
}

/* On any thread, on several at a time too: the loader gives all of them the same. */
void *delay_load_find(unsigned number);
FOR_ASSEMBLER void *delay_load_find(unsigned number)
{
    void *library = dlopen(functions[number].library, RTLD_LAZY | RTLD_LOCAL);
    void *function = library ? dlsym(library, functions[number].name) : NULL;

    if (!function)
        give_up();
    atomic_store_explicit(&delay_load_slots[number], function, memory_order_relaxed);
    return function;
}

/*
 * In the stubs only registers that belong to nobody between a call and its function's first instruction may change.
 * delay_load_first puts aside what may hold arguments, and goes on to the function once it is found.
 */
#if defined(__x86_64__)
#define LAND          "    endbr64\n"
#define JUMP(number)  "    jmp *delay_load_slots + 8 * " number "(%rip)\n"
#define FIRST(number) "    movl $" number ", %r11d\n    jmp delay_load_first\n"
#define BODY                                                                                                           \
    "    push %rbp\n"                                                                                                  \
    ".cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"                                                                  \
    "    mov %rsp, %rbp\n"                                                                                             \
    ".cfi_def_cfa_register %rbp\n"                                                                                     \
    "    sub $192, %rsp\n"                                                                                             \
    "    mov %rdi, (%rsp)\n    mov %rsi, 8(%rsp)\n    mov %rdx, 16(%rsp)\n    mov %rcx, 24(%rsp)\n"                    \
    "    mov %r8, 32(%rsp)\n    mov %r9, 40(%rsp)\n    mov %rax, 48(%rsp)\n    mov %r10, 56(%rsp)\n"                   \
    "    movaps %xmm0, 64(%rsp)\n    movaps %xmm1, 80(%rsp)\n    movaps %xmm2, 96(%rsp)\n"                             \
    "    movaps %xmm3, 112(%rsp)\n    movaps %xmm4, 128(%rsp)\n    movaps %xmm5, 144(%rsp)\n"                          \
    "    movaps %xmm6, 160(%rsp)\n    movaps %xmm7, 176(%rsp)\n"                                                       \
    "    mov %r11d, %edi\n"                                                                                            \
    "    call delay_load_find\n"                                                                                       \
    "    mov %rax, %r11\n"                                                                                             \
    "    mov (%rsp), %rdi\n    mov 8(%rsp), %rsi\n    mov 16(%rsp), %rdx\n    mov 24(%rsp), %rcx\n"                    \
    "    mov 32(%rsp), %r8\n    mov 40(%rsp), %r9\n    mov 48(%rsp), %rax\n    mov 56(%rsp), %r10\n"                   \
    "    movaps 64(%rsp), %xmm0\n    movaps 80(%rsp), %xmm1\n    movaps 96(%rsp), %xmm2\n"                             \
    "    movaps 112(%rsp), %xmm3\n    movaps 128(%rsp), %xmm4\n    movaps 144(%rsp), %xmm5\n"                          \
    "    movaps 160(%rsp), %xmm6\n    movaps 176(%rsp), %xmm7\n"                                                       \
    "    leave\n"                                                                                                      \
    ".cfi_def_cfa %rsp, 8\n.cfi_restore %rbp\n"                                                                        \
    "    jmp *%r11\n"
#elif defined(__aarch64__)
#define LAND "    hint 34\n" /* bti c */
#define JUMP(number)                                                                                                   \
    "    adrp x16, delay_load_slots + 8 * " number "\n"                                                                \
    "    add x16, x16, :lo12:delay_load_slots + 8 * " number "\n"                                                      \
    "    ldr x16, [x16]\n"                                                                                             \
    "    br x16\n"
#define FIRST(number) "    mov w17, " number "\n    b delay_load_first\n"
#define BODY                                                                                                           \
    "    stp x29, x30, [sp, -224]!\n"                                                                                  \
    ".cfi_def_cfa_offset 224\n.cfi_offset x29, -224\n.cfi_offset x30, -216\n"                                          \
    "    mov x29, sp\n"                                                                                                \
    "    stp x0, x1, [sp, 16]\n    stp x2, x3, [sp, 32]\n    stp x4, x5, [sp, 48]\n    stp x6, x7, [sp, 64]\n"         \
    "    str x8, [sp, 80]\n" /* where a large result goes */                                                           \
    "    stp q0, q1, [sp, 96]\n    stp q2, q3, [sp, 128]\n    stp q4, q5, [sp, 160]\n    stp q6, q7, [sp, 192]\n"      \
    "    mov w0, w17\n"                                                                                                \
    "    bl delay_load_find\n"                                                                                         \
    "    mov x16, x0\n"                                                                                                \
    "    ldp x0, x1, [sp, 16]\n    ldp x2, x3, [sp, 32]\n    ldp x4, x5, [sp, 48]\n    ldp x6, x7, [sp, 64]\n"         \
    "    ldr x8, [sp, 80]\n"                                                                                           \
    "    ldp q0, q1, [sp, 96]\n    ldp q2, q3, [sp, 128]\n    ldp q4, q5, [sp, 160]\n    ldp q6, q7, [sp, 192]\n"      \
    "    ldp x29, x30, [sp], 224\n"                                                                                    \
    ".cfi_def_cfa_offset 0\n.cfi_restore x29\n.cfi_restore x30\n"                                                      \
    "    br x16\n"
#else
#error "src/meson.build asks for this file only where its stubs are written"
#endif

#define FUNCTION(name, body)                                                                                           \
    ".globl " name "\n.hidden " name "\n.type " name ", STT_FUNC\n" name ":\n" LAND body ".size " name ", . - " name   \
    "\n"

__asm__(".pushsection .text\n.cfi_startproc\n" FUNCTION("delay_load_first", BODY) ".cfi_endproc\n.popsection\n");

#define DELAY_LOAD(number, library, name)                                                                              \
    __asm__(".pushsection .text\n.cfi_startproc\n" FUNCTION(#name, JUMP(#number))                                      \
                FUNCTION("delay_load_first_" #number, FIRST(#number)) ".cfi_endproc\n.popsection\n");
#include DELAY_LOAD_LIST
#undef DELAY_LOAD
