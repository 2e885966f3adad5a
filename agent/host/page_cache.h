// How much of a file is in memory already, which decides what a load time means.
//
// Threads: pure functions of the kernel's state. Ownership: none.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace joulefarm::agent {

// Share of the file's pages in the page cache, 0 to 1, from mincore(2). nullopt when the kernel
// cannot be asked: it tells the truth only about files one owns or may write.
std::optional<double> ResidentShare(const std::filesystem::path& file);

// "cold" (at most 1 %), "warm" (at least 99 %) or "mixed".
std::string LoadState(double resident_share);

}  // namespace joulefarm::agent
