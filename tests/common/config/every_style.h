// An experiment in every style that YAML has.
//
// Threads: any. Ownership: none.
#pragma once

namespace joulefarm {

inline constexpr char kEveryStyle[] = R"(# every style
name: quant-sweep
workloads:
  chat:
    kind: generate
    prompts: [{text: "Sch\u00f6n \"guten\" Tag"}, {text: 'it''s'}]
    max_tokens: 64
    options: {temperature: 0.0, top_k: 1, ctx: 2048, ignore_eos: true}
  block:
    kind: generate
    prompts:
      - text: |
          several
          lines
      - text: >-
          folded
  run: {kind: command, command: ["prog", "--threads", "{threads}"]}
matrix:
  model: [tiny-f16, tiny-q8_0]
  threads: [1, 2]
exclude:
  - {model: tiny-f16, threads: 1}
devices: {selector: "os=linux,ram_mib>=1024", count: all}
plan: {settle: 30s, idle: 10s}
)";

}  // namespace joulefarm
