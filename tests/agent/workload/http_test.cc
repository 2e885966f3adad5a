#include "agent/workload/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

// No memory is set aside for what is only claimed.
TEST(HttpResponse, ALengthBeyondAllMemoryIsOnlyAClaim) {
  HttpResponse response;
  ASSERT_TRUE(response.Feed("HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\nbegins"));
  EXPECT_TRUE(response.has_header());
  EXPECT_FALSE(response.done());
  EXPECT_EQ(response.TakeBody(), "begins");
  ASSERT_TRUE(response.Feed(" and goes on"));
  EXPECT_EQ(response.TakeBody(), " and goes on");
}

TEST(HttpResponse, BodiesOfEveryKind) {
  for (const char* text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n3\r\nody\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nbody"}) {
    HttpResponse response;
    std::string body;
    for (const char& byte : absl::string_view(text)) {
      ASSERT_TRUE(response.Feed(absl::string_view(&byte, 1))) << text;
      if (response.has_header()) body += response.TakeBody();
    }
    response.FeedEnd();
    EXPECT_TRUE(response.done()) << text;
    EXPECT_EQ(body, "body") << text;
  }
}

// Found by deploy/fuzz: Beast's assertion ended the agent.
TEST(HttpResponse, NoBodyInChunksByteByByte) {
  HttpResponse response;
  for (const char& byte :
       absl::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")) {
    ASSERT_TRUE(response.Feed(absl::string_view(&byte, 1)));
  }
  EXPECT_TRUE(response.done());
  EXPECT_EQ(response.TakeBody(), "");
}

}  // namespace
}  // namespace joulefarm::agent
