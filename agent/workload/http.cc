#include "agent/workload/http.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

namespace http = boost::beast::http;
using Result = TcpConnection::Result;

constexpr std::size_t kLongestBody = std::size_t{1} << 20;

}  // namespace

// A string that grows with what arrives. Beast's own reserves what Content-Length claims, and an
// engine that claims a petabyte would end the agent.
struct GrowingBody {
  using value_type = std::string;  // NOLINT: Beast's names from here on

  class reader {  // NOLINT
   public:
    template <bool kIsRequest, typename Fields>
    reader(http::header<kIsRequest, Fields>& /*header*/, value_type& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>& /*length*/,  // NOLINT
              boost::beast::error_code& error) {
      error = {};
    }
    template <typename Buffers>
    std::size_t put(const Buffers& buffers, boost::beast::error_code& error) {  // NOLINT
      error = {};
      std::size_t size = 0;
      for (const auto buffer : boost::beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
        size += buffer.size();
      }
      return size;
    }
    void finish(boost::beast::error_code& error) { error = {}; }  // NOLINT

   private:
    value_type& body_;
  };
};

absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view url) {
  const auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("'", Printable(url, kExcerptBytes), "' ", why,
                                                   "; write http://HOST:PORT/PATH"));
  };
  absl::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, "http://")) return wrong("is not an address with http");
  HttpUrl parsed;
  const std::size_t slash = rest.find('/');
  absl::string_view authority = rest.substr(0, slash);
  if (slash != absl::string_view::npos) parsed.path = std::string(rest.substr(slash));
  while (!parsed.path.empty() && parsed.path.back() == '/') parsed.path.pop_back();
  if (parsed.path.find_first_of(" ?#\r\n\t") != std::string::npos)
    return wrong("has a path with a blank, a query or a fragment");
  if (authority.find_first_of("@{} \r\n\t") != absl::string_view::npos)
    return wrong("has an unusable host");
  absl::string_view port;
  if (absl::ConsumePrefix(&authority, "[")) {
    const std::size_t end = authority.find(']');
    if (end == absl::string_view::npos) return wrong("has an unusable host");
    port = authority.substr(end + 1);
    authority = authority.substr(0, end);
  } else if (const std::size_t colon = authority.find(':'); colon != absl::string_view::npos) {
    port = authority.substr(colon);
    authority = authority.substr(0, colon);
  }
  if (authority.empty()) return wrong("has no host");
  parsed.host = std::string(authority);
  if (!port.empty()) {
    int number = 0;
    if (!absl::ConsumePrefix(&port, ":") || !absl::SimpleAtoi(port, &number) || number < 1 ||
        number > 65535) {
      return wrong("has an unusable port");
    }
    parsed.port = static_cast<std::uint16_t>(number);
  }
  return parsed;
}

std::string HttpRequest(absl::string_view method, absl::string_view target, absl::string_view host,
                        absl::string_view body) {
  std::string request =
      absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: ", host, "\r\nConnection: close\r\n");
  if (!body.empty()) {
    absl::StrAppend(&request, "Content-Type: application/json\r\nContent-Length: ", body.size(),
                    "\r\n");
  }
  absl::StrAppend(&request, "\r\n", body);
  return request;
}

struct HttpResponse::Parser {
  http::response_parser<GrowingBody> parser;
  std::string pending;
  bool waits = false;  // for more than is pending
  std::string error;
};

HttpResponse::HttpResponse() : parser_(std::make_unique<Parser>()) {
  parser_->parser.eager(true);
  parser_->parser.body_limit(boost::none);
}

HttpResponse::~HttpResponse() = default;

bool HttpResponse::Feed(absl::string_view bytes) {
  parser_->pending.append(bytes.data(), bytes.size());
  // No last chunk is shorter than this; where the first is the last, Beast asserts that it is asked
  // about it again only when so much has come.
  constexpr std::size_t kShortestLastChunk = 5;
  if (parser_->waits && has_header() && parser_->parser.chunked() &&
      parser_->pending.size() < kShortestLastChunk) {
    return true;
  }
  parser_->waits = false;
  while (!parser_->pending.empty() && !parser_->parser.is_done()) {
    boost::beast::error_code error;
    const std::size_t used = parser_->parser.put(boost::asio::buffer(parser_->pending), error);
    parser_->pending.erase(0, used);
    if (error == http::error::need_more) {
      parser_->waits = true;
      break;
    }
    if (error) {
      parser_->error = error.message();
      return false;
    }
  }
  return true;
}

void HttpResponse::FeedEnd() {
  boost::beast::error_code error;
  if (has_header() && !done()) parser_->parser.put_eof(error);
}

bool HttpResponse::has_header() const { return parser_->parser.is_header_done(); }
bool HttpResponse::done() const { return parser_->parser.is_done(); }
unsigned HttpResponse::status() const { return parser_->parser.get().result_int(); }
std::string HttpResponse::content_type() const {
  return std::string(parser_->parser.get()[http::field::content_type]);
}
std::string HttpResponse::TakeBody() { return std::exchange(parser_->parser.get().body(), {}); }
const std::string& HttpResponse::error() const { return parser_->error; }

HealthResult AskHealth(const Endpoint& endpoint, absl::string_view target, std::int64_t deadline_ns,
                       const StopFd& stop) {
  TcpConnection connection;
  HttpResponse response;
  Result result = connection.Connect(endpoint, deadline_ns, stop);
  if (result == Result::kOk) {
    result = connection.Write(HttpRequest("GET", target, endpoint.host, ""), deadline_ns, stop);
  }
  HealthResult health;
  std::string bytes;
  std::int64_t t_ns = 0;
  while (result == Result::kOk && !response.done() && health.body.size() < kLongestBody) {
    result = connection.Read(bytes, t_ns, deadline_ns, stop);
    if (result == Result::kEnd) response.FeedEnd();
    if (result != Result::kOk) break;
    if (!response.Feed(bytes)) {
      return {Health::kGarbage,
              absl::StrCat("the answer to GET ", target, " is not HTTP (", response.error(),
                           "); it began with: ", Printable(bytes, kExcerptBytes)),
              "", 0};
    }
    if (response.has_header()) health.body += response.TakeBody();
  }
  if (result == Result::kStop) return {Health::kStop, "", "", 0};
  if (!response.done()) return health;
  health.status = response.status();
  if (health.status == 200) health.health = Health::kOk;
  return health;
}

}  // namespace joulefarm::agent
