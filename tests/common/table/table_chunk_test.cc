#include "common/table/table_chunk.h"

#include <gtest/gtest.h>

namespace joulefarm {
namespace {

v1::TableChunk Chunk(int columns, int cells) {
  v1::TableChunk chunk;
  for (int i = 0; i < columns; ++i) {
    chunk.add_columns()->set_name(std::string(1, static_cast<char>('a' + i)));
    chunk.mutable_columns(i)->set_kind(v1::COLUMN_KIND_NUMBER);
  }
  v1::Row* row = chunk.add_rows();
  for (int i = 0; i < cells; ++i) row->add_cells()->set_integer(i);
  return chunk;
}

TEST(ChunkFeeder, ColumnsOfTheFirstChunkAndRowsOfAll) {
  TableCollector collector;
  ChunkFeeder feeder(collector);
  ASSERT_TRUE(feeder.Feed(Chunk(2, 2)).ok());
  ASSERT_TRUE(feeder.Feed(Chunk(0, 2)).ok());
  feeder.End();
  ASSERT_EQ(collector.table().columns.size(), 2u);
  EXPECT_EQ(collector.table().columns[1].name, "b");
  EXPECT_EQ(collector.table().columns[1].kind, ColumnKind::kNumber);
  EXPECT_EQ(collector.table().rows.size(), 2u);
  EXPECT_EQ(collector.table().At(collector.table().rows[0], "b"), Value(std::int64_t{1}));
}

TEST(ChunkFeeder, EveryValueKeepsItsType) {
  v1::TableChunk chunk = Chunk(6, 1);
  v1::Row* row = chunk.mutable_rows(0);
  row->add_cells()->set_text("t");
  row->add_cells()->set_real(0.5);
  row->add_cells()->set_boolean(true);
  row->add_cells()->set_blob("b");
  row->add_cells();
  TableCollector collector;
  ASSERT_TRUE(ChunkFeeder(collector).Feed(chunk).ok());
  EXPECT_EQ(collector.table().rows[0],
            (RowValues{std::int64_t{0}, std::string("t"), 0.5, true, Blob{"b"}, Value()}));
}

TEST(ChunkFeeder, ARowOfAnotherWidthIsRefused) {
  TableCollector collector;
  EXPECT_EQ(ChunkFeeder(collector).Feed(Chunk(2, 3)).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace joulefarm
