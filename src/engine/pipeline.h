/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Frames in flight: a bounded queue in front of a fixed set of workers, and the pool of pictures they read. Whoever is
 * free takes the next part of the oldest frame, so that a single frame, and the last one of a clip, is spread as well.
 * Memory is bounded whatever the clip's length: at most threads + 2 frames are under way, and each holds its own
 * two pictures and the reference's two before it.
 */
#ifndef VMAFX_ENGINE_PIPELINE_H
#define VMAFX_ENGINE_PIPELINE_H

#include "engine/extractor.h"

#define VMAFX_THREADS_MAX 1024

typedef struct VmafxPipeline VmafxPipeline;

/**
 * One part of one frame's work.
 * @param worker 0 … threads − 1 (0 when there are none): whose scratch memory to use
 * @param part 0 … parts − 1; those of a frame may run side by side, and write different values of the row
 */
typedef VmafxErr (*VmafxFrameWork)(void *ctx, int worker, int part, const VmafxFrameInput *input, double *row,
                                   VmafxErrInfo *reterr);

typedef struct VmafxPipelineSetup {
    int threads;      /* 0: push does the work itself */
    int parts;        /* of a frame's work, one or more */
    VmafxShape shape; /* of every frame; chroma is copied unless it is 4:0:0 */
    bool keeps_dis;   /* the frame before's distorted picture is wanted too */
    VmafxFrameWork work;
    void *ctx;
    void (*frame_done)(void *ctx); /* after each frame, from whichever thread it was; NULL: not wanted */
    void *frame_done_ctx;
} VmafxPipelineSetup;

VMAFX_CHECK VmafxErr vmafx_pipeline_new(const VmafxPipelineSetup *setup, VmafxPipeline **ret_pipeline);
/** Waits for what is under way. */
void vmafx_pipeline_free(VmafxPipeline **pipeline);

/**
 * Queues a frame; waits while too many are under way. Pictures without a loan are copied, and so are those whose rows
 * do not begin at multiples of 64 bytes; samples above 2^bpc − 1 become that. What is lent (<vmafx/engine.h>) is given
 * back, sooner or later, on failure too.
 * @param loans  of both; NULL: none
 * @return the first error any frame has had so far
 */
VMAFX_CHECK VmafxErr vmafx_pipeline_push(VmafxPipeline *pipeline, const VmafxPicture *ref, const VmafxPicture *dis,
                                         const VmafxLoan loans[2], uint32_t index, double *row, VmafxErrInfo *reterr);

/** Gives both back. @param loans  may be NULL, and so may be their functions */
void vmafx_loans_end(const VmafxLoan loans[2]);

/**
 * How many frames, from the first, are done: the rows of those are the caller's to read. From the thread that pushes.
 * @return the first error any frame has had so far
 */
VMAFX_CHECK VmafxErr vmafx_pipeline_done(VmafxPipeline *pipeline, uint32_t *ret_done, VmafxErrInfo *reterr);

/** Waits until nothing is under way, and gives back what was lent. @return the first error any frame has had */
VMAFX_CHECK VmafxErr vmafx_pipeline_drain(VmafxPipeline *pipeline, VmafxErrInfo *reterr);
#endif
