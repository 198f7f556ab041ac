/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* docs/openapi-server.json, which tools/openapi makes of rest_routes.def and proto/. Put in by the build. */
#ifndef VMAFX_PROGRAMS_SERVER_OPENAPI_H
#define VMAFX_PROGRAMS_SERVER_OPENAPI_H

#include <stddef.h>

extern const unsigned char vmafx_server_openapi[];
extern const size_t vmafx_server_openapi_len;
#endif
