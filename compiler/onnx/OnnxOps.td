//===- OnnxOps.td - The onnx dialect -----------------------*- tablegen -*-===//
//
// One generic, lossless op for every operator: what the project knows about an
// operator is its entry in runtime/ops and its lowering in compiler/lowering.
//
//===----------------------------------------------------------------------===//
#ifndef NPUCC_ONNX_OPS
#define NPUCC_ONNX_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::npucc::onnx";
  let summary = "ONNX graphs as they stand in the file, in the newest operator form";
  let description = [{
    Tensor types keep ONNX's signedness (`ui8`); the lowering makes them signless.
    Operators whose operands are all constant are constant expressions: they stay as they
    are down to the program, where they become recipes, evaluated only when data is needed.
  }];
  // onnx.name, onnx.model and onnx.layers stand on the function and the module.
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Bodies of If, Loop and Scan: what #onnx.graph<N> stands for.
    std::vector<std::shared_ptr<::npucc::Graph>> graphs;
    /// What the importer's resources are made of, by key: shared with the model's memory.
    ::llvm::StringMap<::npucc::Tensor> tensors;
  }];
}

def Onnx_GraphAttr : AttrDef<Onnx_Dialect, "Graph"> {
  let mnemonic = "graph";
  let summary = "the body of an If, Loop or Scan";
  let description = [{
    Such an operator runs on the host as a whole: the compiler never looks inside. The number
    is an index into the dialect's table of graphs, so that text with it lives as long as
    the context. Values that the body takes from outside follow the node's own inputs.
  }];
  let parameters = (ins "int64_t":$index);
  let assemblyFormat = "`<` $index `>`";
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits>;

def Onnx_ConstantOp : Onnx_Op<"constant", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "a tensor of the file, or one folded at load time";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyTensor:$result);
  let assemblyFormat = "$value attr-dict";
  let hasVerifier = 1;
}

def Onnx_NoneOp : Onnx_Op<"none", [Pure]> {
  let summary = "an absent optional input";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def Onnx_NodeOp : Onnx_Op<"node", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "any ONNX operator";
  let description = [{
    `onnx.node "Conv"(%x, %w) {strides = array<i64: 2, 2>} : (...) -> ...`. The location
    carries the node's name. `parameters` are the ONNX attributes: i64 integers, f32 floats,
    strings, dense arrays, arrays of strings, elements. An absent input is the result of
    `onnx.none`; an absent output has type `none`.
  }];
  let arguments = (ins StrAttr:$op_type, DefaultValuedStrAttr<StrAttr, "">:$domain,
                       Variadic<AnyType>:$inputs, DictionaryAttr:$parameters);
  let results = (outs Variadic<AnyType>:$outputs);
  let assemblyFormat = [{
    $op_type `(` $inputs `)` $parameters attr-dict `:` functional-type($inputs, $outputs)
  }];
  let hasVerifier = 1;
}

def Onnx_DataOp : Onnx_Op<"data", [Pure]> {
  let summary = "a constant expression as it is stored for the computation";
  let description = [{
    The border between constant expressions (onnx ops, ONNX types) and the computation
    (linalg, signless storage types): the same shape; the element type is the signless twin,
    or another storage format (f32 -> bf16), converted as ONNX Cast does.
    The scheduler treats the result as a whole tensor in DRAM made by a recipe.
  }];
  let arguments = (ins AnyTensor:$source);
  let results = (outs AnyTensor:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

#endif // NPUCC_ONNX_OPS
