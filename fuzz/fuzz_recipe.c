/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Recipes: of any bytes, vmafx_recipe_check makes an answer, and a sentence with every refusal. The input is text, a
 * line for each part: the encoder, preset, pixel format, numbers, and then key and value of one option after another.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "media/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, as text of its own; "" behind the last. */
static const char *next_line(char **rest)
{
    char *line = *rest ? strsep(rest, "\n") : NULL;

    return line ? line : "";
}

/* "libx264" is a long word to guess, so that a digit does as well. */
static const char *encoder_of(const char *line)
{
    size_t n;
    const VmafxEncoder *encoders = vmafx_encoders(&n);

    return line[0] >= '0' && line[0] < (char)('0' + n) && !line[1] ? encoders[line[0] - '0'].name : line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(size + 1);
    VmafxRecipeOption options[VMAFX_RECIPE_OPTIONS_MAX];
    VmafxErrInfo info = { 0 };
    char *rest = text;

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    VmafxRecipe recipe = { .options = options };
    recipe.encoder = encoder_of(next_line(&rest));
    recipe.codec = next_line(&rest);
    recipe.preset = next_line(&rest);
    recipe.pixel_format = next_line(&rest);
    const char *crf = next_line(&rest);
    recipe.has_crf = *crf;
    recipe.crf = strtod(crf, NULL);
    recipe.bitrate = strtoll(next_line(&rest), NULL, 10);
    recipe.gop = (int)strtol(next_line(&rest), NULL, 10);
    recipe.w = (int)strtol(next_line(&rest), NULL, 10);
    recipe.h = (int)strtol(next_line(&rest), NULL, 10);
    while (rest && recipe.n_options < VMAFX_RECIPE_OPTIONS_MAX) {
        VmafxRecipeOption *option = &options[recipe.n_options++];
        option->key = next_line(&rest);
        option->value = next_line(&rest);
    }
    if (vmafx_recipe_check(&recipe, &info) && !info.message[0])
        abort();
    return 0;
}
