/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A picture of a ladder on one of cairo's surfaces, and from there to a stream. */

#include "ladder/plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include <cairo-svg.h>

#include "base/base.h"
#include "ladder/plot_internal.h"

#define PNG_SCALE 2

bool vmafx_ladder_plot_format_find(const char *name, VmafxLadderPlotFormat *ret)
{
    const char *dot = strrchr(name, '.');

    if (!dot || (strcasecmp(dot, ".svg") && strcasecmp(dot, ".png")))
        return false;
    *ret = strcasecmp(dot, ".svg") ? VMAFX_LADDER_PNG : VMAFX_LADDER_SVG;
    return true;
}

/* ---- surfaces ---- */

static cairo_status_t write_bytes(void *closure, const unsigned char *data, unsigned int len)
{
    return fwrite(data, 1, len, closure) == len ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static cairo_surface_t *surface_new(FILE *out, VmafxLadderPlotFormat format)
{
    if (format == VMAFX_LADDER_PNG)
        return cairo_image_surface_create(CAIRO_FORMAT_RGB24, PLOT_W * PNG_SCALE, PLOT_H * PNG_SCALE);
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(write_bytes, out, PLOT_W, PLOT_H);

    cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
    return surface;
}

static cairo_status_t draw(cairo_surface_t *surface, VmafxLadderPlotFormat format, const VmafxLadderPlot *plot,
                           VmafxLadderPoint *hull)
{
    cairo_t *c = cairo_create(surface);

    if (format == VMAFX_LADDER_PNG)
        cairo_scale(c, PNG_SCALE, PNG_SCALE);
    plot_draw(c, plot, hull);
    cairo_status_t status = cairo_status(c);
    cairo_destroy(c);
    return status;
}

static VmafxErr check(const VmafxLadderPlot *plot, VmafxErrInfo *reterr)
{
    if (plot->n_series == 0 || plot->n_series > VMAFX_LADDER_SERIES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a plot shows 1 to %d series, not %zu", VMAFX_LADDER_SERIES_MAX,
                          plot->n_series);
    if (plot->n_groups == 0 || plot->n_groups > VMAFX_LADDER_GROUPS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a plot shows 1 to %d groups, not %zu", VMAFX_LADDER_GROUPS_MAX,
                          plot->n_groups);
    if (plot->n == 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there is no point to be drawn");
    if (plot->has_target && !(fabs(plot->target) <= VMAFX_LADDER_SCORE_MAX))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the target cannot be drawn");
    for (size_t i = 0; i < plot->n; i++)
        if (!vmafx_ladder_point_ok(&plot->points[i]) || plot->points[i].series >= plot->n_series ||
            plot->points[i].group >= plot->n_groups || (i && plot->points[i].rate < plot->points[i - 1].rate))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "point %zu cannot be drawn", i);
    return VMAFX_OK;
}

VmafxErr vmafx_ladder_plot_write(FILE *out, VmafxLadderPlotFormat format, const VmafxLadderPlot *plot,
                                 VmafxErrInfo *reterr)
{
    VmafxErr err = check(plot, reterr);
    VMAFX_AUTO(vmafx_free_p) VmafxLadderPoint *hull = NULL;

    if (err)
        return err;
    hull = calloc(plot->n, sizeof *hull);
    if (!hull)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "out of memory");
    cairo_surface_t *surface = surface_new(out, format);
    cairo_status_t status = draw(surface, format, plot, hull);

    if (!status && format == VMAFX_LADDER_PNG)
        status = cairo_surface_write_to_png_stream(surface, write_bytes, out);
    cairo_surface_finish(surface);
    if (!status)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_NO_MEMORY)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to draw a plot");
    if (status == CAIRO_STATUS_WRITE_ERROR || (!status && fflush(out)))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot write the plot: %s", strerror(errno));
    if (status)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "cannot draw the plot: %s", cairo_status_to_string(status));
    return VMAFX_OK;
}
