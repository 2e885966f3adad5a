// A small read-only HTTP server: GET and HEAD only, one handler, its own thread.
//
// Thread rule: Start and Stop from the owner's thread; the handler runs on the server's thread and
// may block for the length of a query. Ownership: the handler outlives the server.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace joulefarm::controller {

struct HttpRequest {
  std::string path;                          // decoded, without query
  std::map<std::string, std::string> query;  // decoded
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  // Listens on HOST:PORT (port 0: a free one). UNAVAILABLE with the address and what to do when it
  // is taken, INVALID_ARGUMENT when it is no address.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& host, int port,
                                                           Handler handler);
  // Stops listening and waits for the thread.
  ~HttpServer();

  int port() const { return port_; }

 private:
  struct Loop;
  HttpServer(std::unique_ptr<Loop> loop, int port);

  std::unique_ptr<Loop> loop_;
  int port_;
  std::thread thread_;
};

// Splits and decodes a request target. INVALID_ARGUMENT for broken percent escapes.
absl::StatusOr<HttpRequest> ParseTarget(const std::string& target);

}  // namespace joulefarm::controller
