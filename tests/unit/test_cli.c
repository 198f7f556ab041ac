/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reading arguments by a table, nearest words, exit codes, and what every command's table must have. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/nearest.h"
#include "programs/cli/cli.h"

#define WORDS_MAX 6

enum { O_FILE = 1, O_COUNT, O_QUIET, O_VERBOSE };

static const CliOption options[] = {
    { O_FILE, 'f', "file", "FILE", "A file.", NULL },
    { O_COUNT, 'c', "count", "N", "A number.", NULL },
    { O_QUIET, 'q', "quiet", NULL, "Silence.", NULL },
    { O_VERBOSE, 'v', "verbose", NULL, "Much ado.", NULL },
    { 0 },
};

static const CliCommand command = { .name = "test", .summary = "try things", .usage = "[options]", .options = options };

/* ---- what is said, kept from the test's own output ---- */

static char said[1 << 17]; /* by the last call between listen and hear */
static int saved_fd;
static FILE *heard;

static void listen_to(FILE *stream)
{
    fflush(stream);
    saved_fd = dup(fileno(stream));
    heard = tmpfile();
    assert_non_null(heard);
    assert_true(dup2(fileno(heard), fileno(stream)) >= 0);
}

static const char *hear(FILE *stream)
{
    fflush(stream);
    dup2(saved_fd, fileno(stream));
    close(saved_fd);
    rewind(heard);
    size_t n = fread(said, 1, sizeof said - 1, heard);
    said[n] = 0;
    fclose(heard);
    return said;
}

/* ---- the parser ---- */

static void arguments_are_read_by_the_table(void **state)
{
    static const struct {
        const char *why;
        const char *argv[WORDS_MAX];
        struct {
            int id;
            const char *value;
        } wanted[WORDS_MAX]; /* ended by CLI_END */
    } cases[] = {
        { "nothing", { NULL }, { { CLI_END, NULL } } },
        { "a value after the option", { "--file", "a" }, { { O_FILE, "a" } } },
        { "a value in the option", { "--file=a=b" }, { { O_FILE, "a=b" } } },
        { "an empty value", { "--file=" }, { { O_FILE, "" } } },
        { "an empty word as value", { "--file", "" }, { { O_FILE, "" } } },
        { "short, joined", { "-fa" }, { { O_FILE, "a" } } },
        { "short, apart", { "-f", "a" }, { { O_FILE, "a" } } },
        { "a group", { "-qvf", "a" }, { { O_QUIET, NULL }, { O_VERBOSE, NULL }, { O_FILE, "a" } } },
        { "a group with a joined value", { "-qfq" }, { { O_QUIET, NULL }, { O_FILE, "q" } } },
        { "standard input as value", { "--file", "-" }, { { O_FILE, "-" } } },
        { "standard input alone", { "-" }, { { CLI_POSITIONAL, "-" } } },
        { "a negative value", { "--count", "-5" }, { { O_COUNT, "-5" } } },
        { "a value like an option, spelled out", { "--file=--quiet" }, { { O_FILE, "--quiet" } } },
        { "in between", { "a", "-q", "b" }, { { CLI_POSITIONAL, "a" }, { O_QUIET, NULL }, { CLI_POSITIONAL, "b" } } },
        { "after --", { "--", "-q", "--" }, { { CLI_POSITIONAL, "-q" }, { CLI_POSITIONAL, "--" } } },
        { "nothing after --", { "--" }, { { CLI_END, NULL } } },
        { "unknown", { "--fiel", "a" }, { { CLI_ERROR, "did you mean '--file'" } } },
        { "unlike any", { "--zzzzzzzz" }, { { CLI_ERROR, "there is no option '--zzzzzzzz'" } } },
        { "a beginning is no name", { "--quie" }, { { CLI_ERROR, "did you mean '--quiet'" } } },
        { "unknown with a value", { "--fille=a" }, { { CLI_ERROR, "'--fille'; did you mean '--file'" } } },
        { "unknown letter", { "-qx" }, { { O_QUIET, NULL }, { CLI_ERROR, "'-x'" } } },
        { "no value", { "--file" }, { { CLI_ERROR, "--file needs a value" } } },
        { "no value, short", { "-f" }, { { CLI_ERROR, "--file needs a value" } } },
        { "an option for a value", { "--file", "--quiet" }, { { CLI_ERROR, "--file=--quiet" } } },
        { "a switch with a value", { "--quiet=yes" }, { { CLI_ERROR, "takes no value" } } },
        { "one dash for two", { "-file", "a" }, { { CLI_ERROR, "'--file'" } } },
        { "an empty name", { "--=a" }, { { CLI_ERROR, "no option '--'" } } },
        { "an empty word", { "" }, { { CLI_POSITIONAL, "" } } },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char *argv[WORDS_MAX + 1] = { (char *)"test" };
        CliParser parser;
        int argc = 1;

        while (cases[i].argv[argc - 1]) {
            argv[argc] = (char *)cases[i].argv[argc - 1];
            argc++;
        }
        cli_parser_init(&parser, &command, argc, argv);
        for (int step = 0;; step++) {
            const char *value;
            int wanted = cases[i].wanted[step].id;
            const char *text = cases[i].wanted[step].value;

            listen_to(stderr);
            int id = cli_next(&parser, &value);
            const char *sentence = hear(stderr);

            if (id != wanted)
                fail_msg("%s: step %d gave %d, not %d (%s)", cases[i].why, step, id, wanted, sentence);
            if (id == CLI_END)
                break;
            if (id == CLI_ERROR) {
                if (!strstr(sentence, text) || !strstr(sentence, "vmafx test --help"))
                    fail_msg("%s: '%s'", cases[i].why, sentence);
                break;
            }
            if ((value == NULL) != (text == NULL) || (text && strcmp(value, text) != 0))
                fail_msg("%s: step %d has the value '%s'", cases[i].why, step, value ? value : "(none)");
        }
    }
}

static void help_is_printed_wherever_it_is_asked_for(void **state)
{
    static const char *const asked[] = { "--help", "-h", "-qh" };

    for (size_t i = 0; i < VMAFX_LEN(asked); i++) {
        char *argv[] = { (char *)"test", (char *)asked[i], NULL };
        CliParser parser;
        const char *value;
        int id;

        cli_parser_init(&parser, &command, 2, argv);
        listen_to(stdout);
        while ((id = cli_next(&parser, &value)) == O_QUIET)
            continue;
        const char *text = hear(stdout);
        assert_int_equal(id, CLI_HELP);
        assert_non_null(strstr(text, "-f, --file FILE"));
        assert_non_null(strstr(text, "-h, --help"));
    }
}

static void a_command_may_have_the_letter_h_for_itself(void **state)
{
    static const CliOption high[] = { { 1, 'h', "height", "N", "Height.", NULL }, { 0 } };
    static const CliCommand with_height = { .name = "test", .summary = "", .usage = "", .options = high };
    char *argv[] = { (char *)"test", (char *)"-h", (char *)"48", NULL };
    CliParser parser;
    const char *value;

    cli_parser_init(&parser, &with_height, 3, argv);
    assert_int_equal(cli_next(&parser, &value), 1);
    assert_string_equal(value, "48");
}

static void whole_numbers_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        bool good;
        long long value;
    } cases[] = {
        { "0", true, 0 },
        { "10", true, 10 },
        { "+7", true, 7 },
        { "-3", true, -3 },
        { "007", true, 7 },
        { "11", false, 0 },
        { "-4", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "1x", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "0x1", false, 0 },
        { "--1", false, 0 },
        { "ten", false, 0 },
        { "99999999999999999999", false, 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        long long v = 0;

        listen_to(stderr);
        bool good = cli_int("count", cases[i].text, -3, 10, &v);
        const char *sentence = hear(stderr);

        if (good != cases[i].good || v != cases[i].value)
            fail_msg("'%s': %d, %lld", cases[i].text, good, v);
        if (!good && (!strstr(sentence, "--count") || !strstr(sentence, "-3 to 10")))
            fail_msg("'%s': '%s'", cases[i].text, sentence);
    }
}

/* ---- nearest ---- */

static void the_nearest_word_is_found_and_far_ones_are_not(void **state)
{
    static const char *const words[] = { "score", "models", "doctor", "vmaf", "completion", "man", "reference" };
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        { "scroe", "score" },
        { "scores", "score" },
        { "scor", "score" },
        { "Score", "score" },
        { "model", "models" },
        { "docter", "doctor" },
        { "vamf", "vmaf" },
        { "comp", "completion" },
        { "referense", "reference" },
        { "ref", "reference" },
        { "mna", "man" },
        { "completoin", "completion" },
        { "x", NULL },
        { "m", NULL },
        { "", NULL },
        { "listen", NULL },
        { "something else", NULL },
        { "--score", "score" },
        { "zzz", NULL },
    };
    char long_word[300];

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *nearest = vmafx_nearest(cases[i].word, words, VMAFX_LEN(words));

        if ((nearest == NULL) != (cases[i].nearest == NULL) || (nearest && strcmp(nearest, cases[i].nearest) != 0))
            fail_msg("'%s': '%s'", cases[i].word, nearest ? nearest : "(none)");
    }
    memset(long_word, 's', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = 0;
    assert_null(vmafx_nearest(long_word, words, VMAFX_LEN(words)));
    const char *const long_words[] = { long_word };
    assert_null(vmafx_nearest("ssssssss", long_words, 1));
}

/* ---- exit codes ---- */

static void every_error_has_its_exit_code(void **state)
{
    static const struct {
        VmafxErr err;
        int code;
    } cases[] = {
        { VMAFX_OK, 0 },         { VMAFX_ERR_NOT_FOUND, 3 }, { VMAFX_ERR_INPUT, 3 },   { VMAFX_ERR_TRUNCATED, 3 },
        { VMAFX_ERR_IO, 3 },     { VMAFX_ERR_LIMIT, 3 },     { VMAFX_ERR_INVALID, 3 }, { VMAFX_ERR_MISMATCH, 4 },
        { VMAFX_ERR_MODEL, 5 },  { VMAFX_ERR_FEATURE, 5 },   { VMAFX_ERR_SYNTAX, 5 },  { VMAFX_ERR_UNSUPPORTED, 5 },
        { VMAFX_ERR_NOMEM, 70 }, { VMAFX_ERR_INTERNAL, 70 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        if (cli_exit_for(cases[i].err) != cases[i].code)
            fail_msg("%s: %d", vmafx_err_name(cases[i].err), cli_exit_for(cases[i].err));
    for (int err = 1; err < VMAFX_ERR_COUNT; err++)
        assert_int_not_equal(cli_exit_for((VmafxErr)err), EXIT_COMPLETE);
}

/* ---- the tables ---- */

static void check_options(const CliCommand *c)
{
    for (const CliOption *o = c->options; o && o->name; o++) {
        if (o->id < 1 || !o->help || !*o->help || strncmp(o->name, "--", 2) == 0)
            fail_msg("%s: option '%s'", c->name, o->name);
        for (const CliOption *other = c->options; other != o; other++)
            if (other->id == o->id || !strcmp(other->name, o->name) || (o->letter && other->letter == o->letter))
                fail_msg("%s: '%s' and '%s' share id, name or letter", c->name, o->name, other->name);
    }
}

static void every_command_has_a_summary_an_example_and_sound_options(void **state)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        const CliCommand *c = cli_commands[i];
        char call[64];

        snprintf(call, sizeof call, "vmafx %s", c->name);
        assert_ptr_equal(cli_command_find(c->name), c);
        if (!c->summary || !*c->summary || !c->usage || !c->run || !c->examples || !strstr(c->examples, call) ||
            c->examples[0] != '#')
            fail_msg("%s: something is missing", c->name);
        check_options(c);
    }
    assert_null(cli_command_find("scroe"));
}

/* What a command prints when it gets one argument. */
static const char *printed_by(const CliCommand *c, const char *argument)
{
    char *argv[] = { (char *)c->name, (char *)argument, NULL };

    listen_to(stdout);
    int code = c->run(2, argv);
    hear(stdout);
    assert_int_equal(code, EXIT_COMPLETE);
    assert_true(strlen(said) < sizeof said - 1);
    return said;
}

/* In roff the dashes of a name are escaped. */
static bool has_name(const char *text, const char *name, bool roff)
{
    char escaped[160];
    size_t n = 0;

    for (; *name && n < sizeof escaped - 3; name++) {
        if (roff && *name == '-')
            escaped[n++] = '\\';
        escaped[n++] = *name;
    }
    escaped[n] = 0;
    return strstr(text, escaped);
}

static void every_option_reaches_completion_and_manual(void **state)
{
    static const char *const shells[] = { "bash", "zsh", "fish" };

    for (size_t i = 0; cli_commands[i]; i++) {
        const CliOption *all = cli_commands[i]->options;

        for (size_t s = 0; s <= VMAFX_LEN(shells); s++) {
            bool roff = s == VMAFX_LEN(shells);
            const char *text =
                roff ? printed_by(&cli_man, cli_commands[i]->name) : printed_by(&cli_completion, shells[s]);

            for (const CliOption *o = all; o && o->name; o++)
                if (!has_name(text, o->name, roff))
                    fail_msg("%s lacks %s of %s", roff ? "the manual" : shells[s], o->name, cli_commands[i]->name);
        }
    }
}

static void doctor_finds_this_build_right(void **state)
{
    char *argv[] = { (char *)"doctor", NULL };

    listen_to(stdout);
    int code = cli_doctor.run(1, argv);
    hear(stdout);
    if ((code != EXIT_COMPLETE && code != EXIT_MODEL) || !strstr(said, "ok    self-test"))
        fail_msg("%d: %s", code, said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_read_by_the_table),
        cmocka_unit_test(help_is_printed_wherever_it_is_asked_for),
        cmocka_unit_test(a_command_may_have_the_letter_h_for_itself),
        cmocka_unit_test(whole_numbers_and_nothing_else),
        cmocka_unit_test(the_nearest_word_is_found_and_far_ones_are_not),
        cmocka_unit_test(every_error_has_its_exit_code),
        cmocka_unit_test(every_command_has_a_summary_an_example_and_sound_options),
        cmocka_unit_test(every_option_reaches_completion_and_manual),
        cmocka_unit_test(doctor_finds_this_build_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
