#include "controller/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace joulefarm::controller {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Sends raw bytes on a connected socket, reads until the server closes, and closes it.
std::string Talk(int fd, const std::string& bytes) {
  (void)!::write(fd, bytes.data(), bytes.size());
  std::string reply;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof(buffer))) > 0;)
    reply.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return reply;
}

// Connects the socket to the server.
int Dial(int port, int fd = ::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

std::string Exchange(int port, const std::string& bytes) { return Talk(Dial(port), bytes); }

TEST(ParseTarget, SplitsAndDecodes) {
  const auto parsed = ParseTarget("/api/v1/jobs?state=FAILED&cell=a%3D1%2Cb%3Dx+y&empty=&flag");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->path, "/api/v1/jobs");
  EXPECT_EQ(parsed->query.at("state"), "FAILED");
  EXPECT_EQ(parsed->query.at("cell"), "a=1,b=x y");
  EXPECT_EQ(parsed->query.at("empty"), "");
  EXPECT_EQ(parsed->query.at("flag"), "");
  for (const char* broken : {"/%", "/%4", "/%zz", "/a?b=%", "/a?%1=b"})
    EXPECT_FALSE(ParseTarget(broken).ok()) << broken;
  EXPECT_EQ(ParseTarget("/%41")->path, "/A");
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    server_ = *HttpServer::Start("127.0.0.1", 0, [](const HttpRequest& request) {
      if (request.path == "/missing") return HttpReply{404, "application/json", "{}"};
      return HttpReply{200, "text/plain", "path " + request.path};
    });
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersGetAndHeadAndKeepsConnections) {
  const std::string two = Exchange(
      server_->port(),
      "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(two, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(two, HasSubstr("path /a"));
  EXPECT_THAT(two, HasSubstr("path /b"));
  const std::string head =
      Exchange(server_->port(), "HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 7"));
  EXPECT_THAT(head, Not(HasSubstr("path /a")));
}

TEST_F(HttpServerTest, IsReadOnlyAndSurvivesNonsense) {
  EXPECT_THAT(Exchange(server_->port(), "GET /missing HTTP/1.0\r\n\r\n"), HasSubstr(" 404 "));
  EXPECT_THAT(Exchange(server_->port(), "POST /a HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
              HasSubstr(" 405 "));
  EXPECT_THAT(Exchange(server_->port(), "GET /%zz HTTP/1.0\r\n\r\n"), HasSubstr(" 400 "));
  Exchange(server_->port(), "\x01\x02 nonsense\r\n\r\n");
  Exchange(server_->port(), "GET " + std::string(100'000, 'a') + " HTTP/1.0\r\n\r\n");
  EXPECT_THAT(Exchange(server_->port(), "GET /still HTTP/1.0\r\n\r\n"), HasSubstr("path /still"));
}

TEST_F(HttpServerTest, WithoutDescriptorsItTriesAgainUntilThereAreSome) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  // Nothing above what is open now: the server cannot have a descriptor for the connection.
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(client + 1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  // Connected by the kernel, and waiting to be accepted.
  Dial(server_->port(), client);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(Talk(client, "GET /late HTTP/1.0\r\n\r\n"), HasSubstr("path /late"));
  EXPECT_THAT(Exchange(server_->port(), "GET /next HTTP/1.0\r\n\r\n"), HasSubstr("path /next"));
}

TEST_F(HttpServerTest, ATakenPortIsAnErrorThatSaysWhatToDo) {
  const auto second = HttpServer::Start("127.0.0.1", server_->port(),
                                        [](const HttpRequest&) { return HttpReply{}; });
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--http"));
  EXPECT_TRUE(absl::IsInvalidArgument(HttpServer::Start("no.address", 0, {}).status()));
}

}  // namespace
}  // namespace joulefarm::controller
