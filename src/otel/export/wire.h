/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The protobuf wire format, written into one growing buffer with a limit and read from bytes that nobody vouches for.
 * Source: protobuf.dev, "Encoding". The output is canonical: lengths and numbers take the fewest bytes.
 *
 * A writer that runs into its limit or out of memory remembers that and ignores what follows; ask once, at the end.
 */
#ifndef VMAFX_OTEL_EXPORT_WIRE_H
#define VMAFX_OTEL_EXPORT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef enum VmafxWireType {
    VMAFX_WIRE_VARINT = 0,
    VMAFX_WIRE_FIXED64 = 1,
    VMAFX_WIRE_BYTES = 2,
    VMAFX_WIRE_FIXED32 = 5,
} VmafxWireType;

/* ---- writing ---- */

typedef struct VmafxWire {
    uint8_t *bytes; /* owned; NULL while nothing was written */
    size_t len, room, limit;
    VmafxErr err; /* VMAFX_OK, VMAFX_ERR_LIMIT or VMAFX_ERR_NOMEM; sticks until reset or rewind */
} VmafxWire;

void vmafx_wire_init(VmafxWire *wire, size_t limit_bytes);
void vmafx_wire_done(VmafxWire *wire); /* a zeroed one is fine */
/** Empty again, with the memory kept. */
void vmafx_wire_reset(VmafxWire *wire);
/** Back to an earlier `len`; forgets an error too, for everything since is gone. */
void vmafx_wire_rewind(VmafxWire *wire, size_t len);

/* Fields. Nothing is left out because it is zero: that is the caller's rule to apply. */
void vmafx_wire_varint(VmafxWire *wire, uint32_t field, uint64_t value);
void vmafx_wire_sint32(VmafxWire *wire, uint32_t field, int32_t value); /* zigzag */
void vmafx_wire_fixed64(VmafxWire *wire, uint32_t field, uint64_t value);
void vmafx_wire_fixed32(VmafxWire *wire, uint32_t field, uint32_t value);
void vmafx_wire_double(VmafxWire *wire, uint32_t field, double value);
void vmafx_wire_bytes(VmafxWire *wire, uint32_t field, const void *bytes, size_t len);
/** A string: what is not UTF-8 becomes U+FFFD, one for each maximal piece (Unicode 15, 3.9, table 3-8). */
void vmafx_wire_text(VmafxWire *wire, uint32_t field, const char *text, size_t len);

/** Opens a length-delimited field; what is written until vmafx_wire_end(its result) goes inside. Nests. */
size_t vmafx_wire_begin(VmafxWire *wire, uint32_t field);
void vmafx_wire_end(VmafxWire *wire, size_t mark);
/* Elements of a packed field, between begin and end. */
void vmafx_wire_packed_varint(VmafxWire *wire, uint64_t value);
void vmafx_wire_packed_fixed64(VmafxWire *wire, uint64_t value);

/** The length of the longest prefix of text that is UTF-8. */
size_t vmafx_utf8_valid_prefix(const char *text, size_t len);

/* ---- reading ---- */

/** How deep messages and groups may nest. */
#define VMAFX_WIRE_DEPTH_MAX 32

typedef struct VmafxWireReader {
    const uint8_t *at, *end; /* borrowed */
    unsigned depth;
    bool bad; /* malformed: nothing further is read */
} VmafxWireReader;

typedef struct VmafxWireField {
    uint32_t number;
    VmafxWireType type;
    uint64_t value;       /* VARINT, FIXED64, FIXED32 */
    const uint8_t *bytes; /* BYTES: into the input */
    size_t len;
} VmafxWireField;

void vmafx_wire_reader_init(VmafxWireReader *reader, const void *bytes, size_t len);
/** The next field; groups are skipped. False at the end, and when the input is malformed (`bad` tells). */
bool vmafx_wire_next(VmafxWireReader *reader, VmafxWireField *ret);
/** A reader for a BYTES field's message. False, and the parent is bad, for another type or too deep a nesting. */
bool vmafx_wire_enter(VmafxWireReader *reader, const VmafxWireField *field, VmafxWireReader *ret);
#endif
