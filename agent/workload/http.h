// The little of HTTP that engines need: a request, an answer that arrives in any pieces, and a
// whole exchange for small answers.
//
// Threads: one per object. Ownership: results own their data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/process/stop_fd.h"
#include "agent/workload/tcp.h"

namespace joulefarm::agent {

// "http://host:port/path", the port 80 and the path empty where they are left out.
struct HttpUrl {
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string path;  // without a slash at its end
};

// INVALID_ARGUMENT, saying what is expected.
absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view url);

std::string HttpRequest(absl::string_view method, absl::string_view target, absl::string_view host,
                        absl::string_view body);

class HttpResponse {
 public:
  HttpResponse();
  ~HttpResponse();
  HttpResponse(const HttpResponse&) = delete;
  HttpResponse& operator=(const HttpResponse&) = delete;

  // False: this is not HTTP; see error().
  bool Feed(absl::string_view bytes);
  // The connection was closed: where the body has no length, that is its end.
  void FeedEnd();
  bool has_header() const;
  bool done() const;
  unsigned status() const;
  std::string content_type() const;
  // The part of the body that came since the last call.
  std::string TakeBody();
  const std::string& error() const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

enum class Health { kOk, kNotYet, kStop, kGarbage };

struct HealthResult {
  Health health = Health::kNotYet;
  std::string detail;   // of kGarbage, for people
  std::string body;     // at most 1 MiB
  unsigned status = 0;  // of HTTP; 0: nobody answered
};

// GET `target`, on a connection of its own. kNotYet: refused, no whole answer until the deadline,
// or not status 200. kGarbage: who listens does not speak HTTP.
HealthResult AskHealth(const Endpoint& endpoint, absl::string_view target, std::int64_t deadline_ns,
                       const StopFd& stop);

}  // namespace joulefarm::agent
