#include "common/experiment/block_order.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

// Stored experiments depend on these.
TEST(BlockOrder, NeverChanges) {
  EXPECT_THAT(BlockOrder(42, 0, 8), testing::ElementsAre(3, 6, 0, 7, 1, 2, 5, 4));
  EXPECT_THAT(BlockOrder(42, 1, 8), testing::ElementsAre(7, 2, 4, 6, 1, 3, 0, 5));
  EXPECT_THAT(BlockOrder(-1, 0, 8), testing::ElementsAre(2, 1, 3, 6, 4, 0, 5, 7));
}

TEST(BlockOrder, IsAPermutation) {
  for (int n = 0; n < 50; ++n) {
    std::vector<int> order = BlockOrder(7, 3, n);
    std::sort(order.begin(), order.end());
    ASSERT_EQ(order.size(), static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_TRUE(BlockOrder(7, 3, -1).empty());
}

TEST(BlockOrder, DiffersBetweenSeedsAndBlocks) {
  std::set<std::vector<int>> orders;
  for (int seed = 0; seed < 20; ++seed) {
    for (int block = 0; block < 20; ++block) orders.insert(BlockOrder(seed, block, 20));
  }
  EXPECT_EQ(orders.size(), 400u);
}

TEST(BlockOrder, EveryCellComesFirstAboutEquallyOften) {
  std::vector<int> first(5, 0);
  for (int seed = 0; seed < 5000; ++seed)
    ++first[static_cast<std::size_t>(BlockOrder(seed, 0, 5)[0])];
  // Expected 1000 each; six standard deviations are 170.
  for (const int count : first) EXPECT_NEAR(count, 1000, 170);
}

}  // namespace
}  // namespace joulefarm
