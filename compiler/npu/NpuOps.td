//===- NpuOps.td - The npu dialect -------------------------*- tablegen -*-===//
//
// Commands of the NPU on memrefs, inside loops that stay loops. docs/npu-dialect.md
// says why it is as it is.
//
//===----------------------------------------------------------------------===//
#ifndef NPUCC_NPU_OPS
#define NPUCC_NPU_OPS

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Npu_Dialect : Dialect {
  let name = "npu";
  let cppNamespace = "::npucc::npu";
  let summary = "commands of a neural processing unit";
  let useDefaultAttributePrinterParser = 1;
}

class Npu_Op<string mnemonic, list<Trait> traits = []> : Op<Npu_Dialect, mnemonic, traits>;
class Npu_Attr<string name, string attrMnemonic> : AttrDef<Npu_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Npu_MemSpace : I32EnumAttr<"MemSpace", "memory spaces of a core", [
    I32EnumAttrCase<"Dram", 0, "dram">, I32EnumAttrCase<"Spm", 1, "spm">,
    I32EnumAttrCase<"Acc", 2, "acc">]> {
  let cppNamespace = "::npucc::npu";
  let genSpecializedAttr = 0;
}
def Npu_MemAttr : EnumAttr<Npu_Dialect, Npu_MemSpace, "mem"> {
  let assemblyFormat = "`<` $value `>`";
}

def Npu_StreamKind : I32EnumAttr<"StreamKind", "engines with a command stream each", [
    I32EnumAttrCase<"Load", 0, "load">, I32EnumAttrCase<"Store", 1, "store">,
    I32EnumAttrCase<"Matrix", 2, "matrix">, I32EnumAttrCase<"Vector", 3, "vector">,
    I32EnumAttrCase<"Control", 4, "control">]> {
  let cppNamespace = "::npucc::npu";
  let genSpecializedAttr = 0;
}
def Npu_EngineAttr : Npu_Attr<"Engine", "engine"> {
  let summary = "an engine and its channel: the command stream that an op belongs to";
  let parameters = (ins EnumParameter<Npu_StreamKind>:$kind, "int64_t":$channel);
  let assemblyFormat = "`<` $kind `,` $channel `>`";
}

def Npu_AccessAttr : Npu_Attr<"Access", "access"> {
  let summary = "how a loop nest reads or writes a memref";
  let description = [{
    `map` takes the nest's loop counters as dims and the enclosing loops' counters as symbols
    to coordinates in the whole tensor. The memref's element (0, 0, ...) stands at the
    coordinates `origin` (symbols only): zero for a whole tensor, the tile's corner for a tile.
    A coordinate outside [0, bounds) reads as `fill` and is not written; bounds -1: not checked.
  }];
  let parameters = (ins "::mlir::AffineMap":$map, "::mlir::AffineMap":$origin,
                        ArrayRefParameter<"int64_t">:$bounds, "::mlir::FloatAttr":$fill);
  let assemblyFormat = [{
    `<` $map `,` `origin` `=` $origin `,` `bounds` `=` `[` $bounds `]` `,` `fill` `=` $fill `>`
  }];
}

def Npu_NestAttr : Npu_Attr<"Nest", "nest"> {
  let summary = "the loops of one command";
  let description = [{
    Static extents, clipped to `bounds[d] - starts[d]` (symbols: enclosing loops) where
    bounds[d] is not -1. `roles` are runtime LoopRole values; `reduction` dims have 1.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$extents, ArrayRefParameter<"int64_t">:$bounds,
                        "::mlir::AffineMap":$starts, ArrayRefParameter<"int64_t">:$reduction,
                        ArrayRefParameter<"int64_t">:$roles);
  let assemblyFormat = [{
    `<` `[` $extents `]` `,` `bounds` `=` `[` $bounds `]` `,` `starts` `=` $starts `,`
    `reduction` `=` `[` $reduction `]` `,` `roles` `=` `[` $roles `]` `>`
  }];
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Npu_InputOp : Npu_Op<"input"> {
  let summary = "a graph input in DRAM";
  let arguments = (ins StrAttr:$name, OptionalAttr<StrAttr>:$type_name,
                       OptionalAttr<StrAttr>:$external_type);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Npu_OutputOp : Npu_Op<"output"> {
  let summary = "declares a buffer in DRAM as a graph output";
  let arguments = (ins AnyMemRef:$buffer, StrAttr:$name, OptionalAttr<StrAttr>:$type_name,
                       OptionalAttr<StrAttr>:$external_type);
  let assemblyFormat = "$buffer `,` $name attr-dict `:` type($buffer)";
}

def Npu_ConstantOp : Npu_Op<"constant"> {
  let summary = "a constant in DRAM, made from a constant expression";
  let arguments = (ins AnyTensor:$source);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Npu_BufferOp : Npu_Op<"buffer"> {
  let summary = "a buffer in DRAM, scratchpad or accumulators";
  let description = [{
    `slots` > 1: a ring; each `npu.advance` moves on by one slot of `slot_bytes`.
    npu-schedule sets `address`.
  }];
  let arguments = (ins DefaultValuedAttr<I64Attr, "1">:$slots, OptionalAttr<I64Attr>:$address,
                       OptionalAttr<StrAttr>:$name);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Npu_ViewOp : Npu_Op<"view", [Pure]> {
  let summary = "the same memory under another shape, strides and offset";
  let arguments = (ins AnyMemRef:$source);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

def Npu_LoadOp : Npu_Op<"load"> {
  let summary = "copies the box of `target`'s shape at `origin` of the whole `source` to a tile";
  let description = "Coordinates outside the source are not copied, at both ends.";
  let arguments = (ins AnyMemRef:$source, AnyMemRef:$target, Variadic<Index>:$ivs,
                       AffineMapAttr:$origin, Npu_EngineAttr:$engine);
  let assemblyFormat = [{
    $source `[` $origin `]` `(` $ivs `)` `to` $target `on` $engine attr-dict `:`
    type($source) `->` type($target)
  }];
  let hasVerifier = 1;
}

def Npu_StoreOp : Npu_Op<"store"> {
  let summary = "copies a tile to the box at `origin` of the whole `target`, clipped to it";
  let arguments = (ins AnyMemRef:$source, AnyMemRef:$target, Variadic<Index>:$ivs,
                       AffineMapAttr:$origin, Npu_EngineAttr:$engine);
  let assemblyFormat = [{
    $source `to` $target `[` $origin `]` `(` $ivs `)` `on` $engine attr-dict `:`
    type($source) `->` type($target)
  }];
  let hasVerifier = 1;
}

def Npu_MatrixOp : Npu_Op<"matrix", [AttrSizedOperandSegments]> {
  let summary = "a contraction on the MAC array, with the output stage as its epilogue";
  let description = [{
    acc (+)= sum of (a - a_zero) * (b - b_zero); cleared first where `clear_if` evaluates to 0
    (no map: always). Where `epilogue_if` evaluates to 0, `out` = epilogue(acc, params).
    Accesses: a, b, acc, then params, then out.
  }];
  let arguments = (ins AnyMemRef:$a, AnyMemRef:$b, AnyMemRef:$acc, Variadic<AnyMemRef>:$params,
                       Optional<AnyMemRef>:$out, Variadic<Index>:$ivs,
                       Npu_NestAttr:$nest, ArrayAttr:$accesses,
                       DefaultValuedAttr<I64Attr, "0">:$a_zero, DefaultValuedAttr<I64Attr, "0">:$b_zero,
                       OptionalAttr<AffineMapAttr>:$clear_if, OptionalAttr<AffineMapAttr>:$epilogue_if);
  let regions = (region AnyRegion:$epilogue);
  let assemblyFormat = [{
    `(` $a `,` $b `)` `acc` `(` $acc `)` (`params` `(` $params^ `:` type($params) `)`)?
    (`out` `(` $out^ `:` type($out) `)`)? `ivs` `(` $ivs `)` $nest $accesses attr-dict
    `:` type($a) `,` type($b) `,` type($acc) `do` $epilogue
  }];
  let hasVerifier = 1;
}

def Npu_VectorOp : Npu_Op<"vector", [AttrSizedOperandSegments]> {
  let summary = "a loop nest with a scalar body on the SIMD unit";
  let description = [{
    Block arguments: inputs, then the outputs' current values. With reduction dims an output
    starts from `initial` where `clear_if` evaluates to 0 (no map: always).
    Accesses: inputs, then outputs.
  }];
  let arguments = (ins Variadic<AnyMemRef>:$inputs, Variadic<AnyMemRef>:$outputs,
                       Variadic<Index>:$ivs, Npu_NestAttr:$nest, ArrayAttr:$accesses,
                       DefaultValuedAttr<DenseF64ArrayAttr, "{}">:$initial,
                       OptionalAttr<AffineMapAttr>:$clear_if);
  let regions = (region AnyRegion:$body);
  let assemblyFormat = [{
    `ins` `(` ($inputs^ `:` type($inputs))? `)` `outs` `(` $outputs `:` type($outputs) `)`
    `ivs` `(` $ivs `)` $nest $accesses attr-dict `do` $body
  }];
  let hasVerifier = 1;
}

def Npu_YieldOp : Npu_Op<"yield", [Pure, Terminator]> {
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Npu_LookupOp : Npu_Op<"lookup", [Pure]> {
  let summary = "element `index` of a table operand; only in bodies";
  let description = "`table` is the number of the body's operand that holds the table.";
  let arguments = (ins AnyInteger:$index, I64Attr:$table);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$index `in` $table attr-dict `:` type($index) `->` type($result)";
}

def Npu_IndexOp : Npu_Op<"index", [Pure]> {
  let summary = "the coordinate along a loop dim of the command, clip start included; only in bodies";
  let arguments = (ins I64Attr:$dim);
  let results = (outs Index:$result);
  let assemblyFormat = "$dim attr-dict `:` type($result)";
}

def Npu_HostOp : Npu_Op<"host", [AttrSizedOperandSegments]> {
  let summary = "an ONNX operator that the control core runs on tensors in DRAM";
  let arguments = (ins StrAttr:$op_type, StrAttr:$domain, DictionaryAttr:$parameters,
                       Variadic<AnyType>:$inputs, Variadic<AnyType>:$outputs,
                       StrAttr:$reason, ArrayAttr:$input_types, ArrayAttr:$output_types);
  let assemblyFormat = [{
    $op_type `(` ($inputs^ `:` type($inputs))? `)` `outs` `(` $outputs `:` type($outputs) `)` attr-dict
  }];
  let hasVerifier = 0;
}
def Npu_AbsentOp : Npu_Op<"absent", [Pure]> {
  let summary = "an absent optional input or output of a host operator";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

//===----------------------------------------------------------------------===//
// Synchronisation (npu-sync)
//===----------------------------------------------------------------------===//

def Npu_WaitOp : Npu_Op<"wait"> {
  let summary = "the engine's stream waits until the semaphore is at least 1, and takes 1";
  let arguments = (ins I64Attr:$semaphore, Npu_EngineAttr:$engine, UnitAttr:$redundant);
  let assemblyFormat = "$semaphore `on` $engine attr-dict";
}
def Npu_SignalOp : Npu_Op<"signal"> {
  let summary = "adds 1 to the semaphore when the engine's earlier commands are complete";
  let arguments = (ins I64Attr:$semaphore, Npu_EngineAttr:$engine);
  let assemblyFormat = "$semaphore `on` $engine attr-dict";
}
def Npu_AdvanceOp : Npu_Op<"advance"> {
  let summary = "the engine's stream goes to the next slot of a ring buffer";
  let arguments = (ins AnyMemRef:$buffer, Npu_EngineAttr:$engine);
  let assemblyFormat = "$buffer `on` $engine attr-dict `:` type($buffer)";
}

#endif // NPUCC_NPU_OPS
