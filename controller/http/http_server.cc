#include "controller/http/http_server.h"

#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/beast/core.hpp"
#include "boost/beast/http.hpp"

namespace joulefarm::controller {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;

namespace {

constexpr auto kIdle = std::chrono::seconds(30);
constexpr auto kAfterError = std::chrono::milliseconds(100);

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> Decode(absl::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return absl::InvalidArgumentError(absl::StrCat("broken escape in \"", text, "\""));
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Tcp::socket socket, const HttpServer::Handler& handler)
      : stream_(std::move(socket)), handler_(handler) {}

  void Read() {
    request_ = {};
    stream_.expires_after(kIdle);
    http::async_read(stream_, buffer_, request_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->Answer();
                     });
  }

 private:
  HttpReply Reply() const {
    if (request_.method() != http::verb::get && request_.method() != http::verb::head) {
      return {405, "application/json", R"({"error":"read-only: use GET"})"};
    }
    const auto parsed = ParseTarget(std::string(request_.target()));
    if (!parsed.ok())
      return {400, "application/json", R"({"error":"the request target cannot be decoded"})"};
    return handler_(*parsed);
  }

  void Answer() {
    HttpReply reply = Reply();
    response_ = {static_cast<http::status>(reply.status), request_.version()};
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(request_.keep_alive());
    const std::size_t length = reply.body.size();
    if (request_.method() != http::verb::head) response_.body() = std::move(reply.body);
    response_.content_length(length);
    stream_.expires_after(kIdle);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (error || !self->response_.keep_alive()) {
                          beast::error_code ignored;
                          self->stream_.socket().shutdown(Tcp::socket::shutdown_send, ignored);
                          return;
                        }
                        self->Read();
                      });
  }

  beast::tcp_stream stream_;
  const HttpServer::Handler& handler_;
  beast::flat_buffer buffer_{std::size_t{16} * 1024};
  http::request<http::empty_body> request_;
  http::response<http::string_body> response_;
};

}  // namespace

struct HttpServer::Loop {
  explicit Loop(Handler h) : handler(std::move(h)), acceptor(context), pause(context) {}

  void Accept() {
    acceptor.async_accept([this](beast::error_code error, Tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {
        AcceptLater();
        return;
      }
      std::make_shared<Connection>(std::move(socket), handler)->Read();
      Accept();
    });
  }

  // Out of descriptors or memory the next accept would fail at once, and the next, and the next.
  void AcceptLater() {
    pause.expires_after(kAfterError);
    pause.async_wait([this](beast::error_code error) {
      if (!error) Accept();
    });
  }

  const Handler handler;
  asio::io_context context{1};
  Tcp::acceptor acceptor;
  asio::steady_timer pause;
};

absl::StatusOr<HttpRequest> ParseTarget(const std::string& target) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(target, absl::MaxSplits('?', 1));
  HttpRequest request;
  absl::StatusOr<std::string> path = Decode(parts.first);
  if (!path.ok()) return path.status();
  request.path = *std::move(path);
  for (const absl::string_view pair : absl::StrSplit(parts.second, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> kv =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    absl::StatusOr<std::string> key = Decode(kv.first);
    absl::StatusOr<std::string> value = Decode(kv.second);
    if (!key.ok()) return key.status();
    if (!value.ok()) return value.status();
    request.query[*std::move(key)] = *std::move(value);
  }
  return request;
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& host, int port,
                                                              Handler handler) {
  auto loop = std::make_unique<Loop>(std::move(handler));
  beast::error_code error;
  const asio::ip::address address =
      asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", host, "\" is not an IP address to listen for HTTP on"));
  const Tcp::endpoint endpoint(address, static_cast<unsigned short>(port));
  loop->acceptor.open(endpoint.protocol(), error);
  if (!error) loop->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) loop->acceptor.bind(endpoint, error);
  if (!error) loop->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen for HTTP on ", host, ":", port, ": ", error.message(),
                     ": stop what uses it or give another --http HOST:PORT"));
  }
  const int bound = loop->acceptor.local_endpoint().port();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop), bound));
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop, int port) : loop_(std::move(loop)), port_(port) {
  loop_->Accept();
  thread_ = std::thread([this] { loop_->context.run(); });
}

HttpServer::~HttpServer() {
  loop_->context.stop();
  thread_.join();
}

}  // namespace joulefarm::controller
