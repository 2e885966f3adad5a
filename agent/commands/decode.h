// joulefarm-agent meters decode MODEL: frames of a bus capture in, samples out, for whoever debugs
// one.
//
// Threads: one. Ownership: the streams are borrowed for the call.
#pragma once

#include <istream>
#include <ostream>
#include <string>

namespace joulefarm::agent {

// Reads frames in hex from `in`, one per line; blanks between digits, empty lines and what follows
// a '#' do not count. Models whose protocol is text take the text's bytes: one or more whole lines
// per frame, whose ends may be left out, or a file as xxd -p or hexdump cut it. For these all is
// read before anything is written.
//
// Writes a line of JSON per sample: voltage_v, current_a, power_w, t_ns, then what else the model
// reports; what it does not is left out. {"error": …}: a frame, or part of it, was refused.
// {"lost": n}: samples are known to be missing before those that follow.
//
// 0: read to the end, whatever was refused; 2: there is no such model, said on `err`.
int DecodeFrames(const std::string& model, std::istream& in, std::ostream& out, std::ostream& err);

// "km003c, ct3, …": what MODEL may be.
std::string DecodableModels();

}  // namespace joulefarm::agent
