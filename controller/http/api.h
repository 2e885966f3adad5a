// What the HTTP server answers: health and three listings as JSON.
//
// Thread rule: the handler runs on the HTTP server's thread. Ownership: reader and host outlive the
// handler.
#pragma once

#include <functional>
#include <string>

#include "controller/http/http_server.h"
#include "controller/store/reader.h"

namespace joulefarm::controller {

// `read_only_reason` returns why the controller cannot write; empty when it can.
//   GET /healthz               200 {"status":"ok"}, 503 {"status":"read-only","reason":…}
//   GET /api/v1/devices|jobs|results[?column=value…&limit=N]   an array of objects with the keys of
//   the CLI's JSON
HttpServer::Handler MakeApi(Reader& reader, std::function<std::string()> read_only_reason,
                            std::string version);

}  // namespace joulefarm::controller
