#include "agent/workload/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/workload/recorded.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<std::string> DataOf(const std::vector<SseEvent>& events) {
  std::vector<std::string> data;
  for (const SseEvent& event : events) data.push_back(event.type + "|" + event.data);
  return data;
}

std::vector<std::string> Parse(const std::vector<absl::string_view>& pieces) {
  SseParser parser;
  std::vector<SseEvent> events;
  for (const absl::string_view piece : pieces) {
    const absl::Status status = parser.Feed(piece, events);
    if (!status.ok()) return {std::string(status.message())};
  }
  return DataOf(events);
}

TEST(SseParser, EverySplitOfARecordedStreamGivesTheSameEvents) {
  const absl::string_view whole(kRecordedStream);
  const std::vector<std::string> expected = Parse({whole});
  ASSERT_THAT(expected, SizeIs(3));
  for (std::size_t first = 0; first <= whole.size(); ++first) {
    for (std::size_t second = first; second <= whole.size(); ++second) {
      ASSERT_EQ(Parse({whole.substr(0, first), whole.substr(first, second - first),
                       whole.substr(second)}),
                expected)
          << first << ", " << second;
    }
  }
}

TEST(SseParser, ByteByByte) {
  SseParser parser;
  std::vector<SseEvent> events;
  for (const char& byte : absl::string_view(kRecordedStream)) {
    ASSERT_TRUE(parser.Feed(absl::string_view(&byte, 1), events).ok());
  }
  EXPECT_EQ(DataOf(events), Parse({kRecordedStream}));
  EXPECT_TRUE(parser.idle());
}

TEST(SseParser, KnowsTheWholeSyntax) {
  EXPECT_THAT(Parse({"data: a\ndata:b\ndata\n\n"}), ElementsAre("message|a\nb\n"));
  EXPECT_THAT(Parse({"event: done\nid: 7\nretry: 3\ndata:  x\n\n"}), ElementsAre("done| x"));
  EXPECT_THAT(Parse({"\xEF\xBB\xBF"
                     "data: after a mark\r\rdata: z\r\n\r\n"}),
              ElementsAre("message|after a mark", "message|z"));
  EXPECT_THAT(Parse({"event: nothing\n\ndata: y\n\n"}), ElementsAre("message|y"));
  EXPECT_THAT(Parse({"error: {}\n\n"}), ElementsAre("error|{}"));
  EXPECT_THAT(Parse({"data: not ended\n"}), ElementsAre());
}

TEST(SseParser, RefusesWhatIsNone) {
  EXPECT_THAT(Parse({"<html>\n"}), ElementsAre("not a server-sent event: <html>"));
  SseParser parser;
  std::vector<SseEvent> events;
  EXPECT_FALSE(parser.Feed(std::string(SseParser::kLongestEvent + 1, 'x'), events).ok());
}

}  // namespace
}  // namespace joulefarm::agent
