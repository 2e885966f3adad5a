#include "common/experiment/spec_hash.h"

#include <string>

#include "gtest/gtest.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {
namespace {

std::string HashOf(const google::protobuf::Message& message) {
  Sha256 sha;
  HashMessage(message, &sha);
  return sha.HexDigest();
}

TEST(HashMessage, AbsentIsNotZero) {
  v1::GenerateSpec absent;
  v1::GenerateSpec zero;
  zero.set_temperature(0);
  EXPECT_NE(HashOf(absent), HashOf(zero));
  v1::GenerateSpec minus_zero;
  minus_zero.set_temperature(-0.0);
  EXPECT_EQ(HashOf(zero), HashOf(minus_zero));
}

TEST(HashMessage, ValuesDoNotRunTogether) {
  v1::CommandSpec a;
  a.add_argv("ab");
  a.add_argv("c");
  v1::CommandSpec b;
  b.add_argv("a");
  b.add_argv("bc");
  v1::CommandSpec c;
  c.add_argv("a1:bc");
  EXPECT_NE(HashOf(a), HashOf(b));
  EXPECT_NE(HashOf(b), HashOf(c));
}

TEST(HashMessage, SeesEveryLevel) {
  v1::JobSpec a;
  a.mutable_generate()->add_prompts()->set_text("x");
  v1::JobSpec b = a;
  EXPECT_EQ(HashOf(a), HashOf(b));
  b.mutable_generate()->mutable_prompts(0)->set_text("y");
  EXPECT_NE(HashOf(a), HashOf(b));
  b = a;
  b.set_power(v1::POWER_REQUIRE_NONE);
  EXPECT_NE(HashOf(a), HashOf(b));
}

}  // namespace
}  // namespace joulefarm
