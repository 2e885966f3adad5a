#include "agent/identity.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

TEST(IdentityTest, IdStaysOnceMade) {
  const TempDir dir;
  const auto first = PersistentAgentId(dir.path());
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_GT(first->size(), 5u);
  EXPECT_EQ((*first)[first->size() - 5], '-') << *first;
  EXPECT_EQ(first->find_first_not_of("0123456789abcdef", first->size() - 4), std::string::npos);
  EXPECT_EQ(*PersistentAgentId(dir.path()), *first);
}

TEST(IdentityTest, IdWrittenByAPersonIsTaken) {
  const TempDir dir;
  std::ofstream(dir.path() / "agent_id") << "  lab-7 \n";
  EXPECT_EQ(*PersistentAgentId(dir.path()), "lab-7");
}

TEST(IdentityTest, InstancesDiffer) { EXPECT_NE(RandomInstance(), RandomInstance()); }

}  // namespace
}  // namespace joulefarm::agent
