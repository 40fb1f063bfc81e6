from __future__ import annotations

import base64
import enum
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import naive_log
from foreproof.core import verifier
from foreproof.core.log import (
    Checkpoint,
    PrivateKey,
    PublicKey,
    decode_leaf,
    ed25519_verifies,
    encode_leaf,
    parse_checkpoint,
    parse_public_key,
    prove_consistency,
    prove_inclusion,
    salted_hash,
    sign_note,
)
from foreproof.core.merkle import (
    EMPTY_ROOT,
    consistency_path,
    inclusion_path,
    leaf_hash,
    prefix_roots,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from foreproof.errors import BadInput, IntegrityError

# The test inputs, roots and proofs of the certificate-transparency project (transparency-dev/merkle, testonly).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = [
    (0, 1, []),
    (0, 2, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"]),
    (1, 2, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]
CT_CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]

# RFC 8032, section 7.1: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
    (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        "LONG",
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6"
        "ac00a9704a188a03",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
        "2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17a"
        "d9bef1177331a704",
    ),
]
LONG = (
    "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544e23fb1433d"
    "df73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0810a4432826bf58c941efb65d57a"
    "338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b"
    "310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b92"
    "8a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d"
    "44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc245541"
    "19a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba6"
    "3bcbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d"
    "0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea70"
    "82ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d0"
    "7ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d"
    "1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef"
    "5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49"
    "e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac0943bf6686b64b25793765"
    "04ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041e989f7914f"
    "90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d034"
    "12c091c6315cf4fde7cb68606937380db2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a1"
    "01e8a3b8cac60c905c15fc910840b94c00a0b9d0"
)

# Signed notes of other implementations: the example of golang.org/x/mod/sumdb/note, and two heads of the Go checksum
# database with its published key.
NOTE_SEED = "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173"
NOTE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE_BODY = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE_LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_HEADS = [
    "go.sum database tree\n31700353\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n"
    "\u2014 sum.golang.org Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMHb89k11GJh5zHIfNCOBmwn/C3YI8oW9/C8DJ87F61QqspBYwM=\n",
    "go.sum database tree\n65209736\n5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=\n\n"
    "\u2014 sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtYspg3dxXABkGZZKdsQ8=\n",
]

HASHES = [leaf_hash(leaf) for leaf in CT_LEAVES]
KEY = PrivateKey("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = PrivateKey("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    wanted = bytes.fromhex(CT_ROOTS[size])
    assert root_hash(HASHES[:size]) == wanted
    assert naive_log.mth(CT_LEAVES[:size]) == wanted
    assert verifier.roots(CT_LEAVES, [size]) == {size: wanted}


@pytest.mark.parametrize(("index", "size", "nodes"), CT_INCLUSION)
def test_inclusion_paths_are_those_of_certificate_transparency(index: int, size: int, nodes: list[str]) -> None:
    wanted = [bytes.fromhex(node) for node in nodes]
    assert list(inclusion_path(HASHES, index, size)) == wanted
    assert naive_log.path(index, CT_LEAVES[:size]) == wanted
    assert verify_inclusion(HASHES[index], index, size=size, path=wanted, root=bytes.fromhex(CT_ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "nodes"), CT_CONSISTENCY)
def test_consistency_paths_are_those_of_certificate_transparency(old: int, new: int, nodes: list[str]) -> None:
    wanted = [bytes.fromhex(node) for node in nodes]
    old_root, new_root = bytes.fromhex(CT_ROOTS[old]), bytes.fromhex(CT_ROOTS[new])
    assert list(consistency_path(HASHES, old, new)) == wanted
    assert naive_log.proof(old, CT_LEAVES[:new]) == wanted
    assert verify_consistency(old, new, old_root=old_root, new_root=new_root, path=wanted)


def test_all_proofs_of_all_sizes_up_to_seventeen_hold() -> None:
    leaves = [bytes([i]) for i in range(17)]
    for size in range(1, 18):
        assert all(prove_inclusion(leaves, index, size=size).holds() for index in range(size))
        assert all(prove_consistency(leaves, old, new=size).holds() for old in range(size + 1))


def test_a_long_log_neither_recurses_nor_recomputes_its_prefixes() -> None:
    leaves = [i.to_bytes(4, "big") for i in range(100_000)]
    proof = prove_inclusion(leaves, 77_777, size=99_999)
    assert proof.holds()
    assert len(proof.path) == 17
    assert prove_consistency(leaves, 65_536, new=100_000).holds()
    hashes = [leaf_hash(leaf) for leaf in leaves]
    roots = prefix_roots(hashes, range(0, 100_001, 50))
    assert roots[0] == EMPTY_ROOT
    assert roots[100_000] == root_hash(hashes)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 9), (0, 0)])
def test_an_inclusion_path_outside_the_log_is_refused(index: int, size: int) -> None:
    with pytest.raises(BadInput, match="log: leaf"):
        inclusion_path(HASHES, index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3), (3, 9)])
def test_a_consistency_path_outside_the_log_is_refused(old: int, new: int) -> None:
    with pytest.raises(BadInput, match="log: sizes"):
        consistency_path(HASHES, old, new)
    assert not verify_consistency(old, min(new, old - 1), old_root=EMPTY_ROOT, new_root=EMPTY_ROOT, path=[])


def test_a_prefix_root_outside_the_log_is_refused() -> None:
    for sizes in ([9], [-1, 2]):
        with pytest.raises(BadInput, match="wanted sizes within 0 to 8"):
            prefix_roots(HASHES, sizes)


def test_only_the_empty_log_is_extended_without_a_path() -> None:
    root = root_hash(HASHES)
    assert verify_consistency(0, 8, old_root=EMPTY_ROOT, new_root=root, path=[])
    assert not verify_consistency(0, 8, old_root=root, new_root=root, path=[])
    assert not verify_consistency(3, 8, old_root=root, new_root=root, path=[])
    assert not verify_consistency(8, 8, old_root=EMPTY_ROOT, new_root=root, path=[])


def test_a_leaf_cannot_pass_for_an_inner_node() -> None:
    forged = leaf_hash(CT_LEAVES[0]) + leaf_hash(CT_LEAVES[1])
    assert leaf_hash(forged) != root_hash(HASHES[:2])


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_signatures_are_those_of_rfc_8032(secret: str, public: str, message: str, signature: str) -> None:
    key = PrivateKey("rfc", Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))
    text = bytes.fromhex(LONG if message == "LONG" else message)
    assert key.public.raw.hex() == public
    assert key.sign(text).hex() == signature
    assert key.public.verify(text, bytes.fromhex(signature))
    assert verifier.ed25519_verify(key.public.raw, text, bytes.fromhex(signature))
    assert not key.public.verify(text + b"\x00", bytes.fromhex(signature))
    assert not verifier.ed25519_verify(key.public.raw, text + b"\x00", bytes.fromhex(signature))


def test_malformed_keys_and_signatures_are_refused_by_both_checks() -> None:
    public, message = KEY.public.raw, b"text"
    signature = KEY.sign(message)
    order = 2**252 + 27742317777372353535851937790883648493
    shifted = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    cases = [
        (public, signature[:-1]),
        (public, signature + b"\x00"),
        (public[:-1], signature),
        (b"\xff" * 32, signature),
        # x is not a square for y = 2: no point of the curve.
        ((2).to_bytes(32, "little"), signature),
        # y = 1 has x = 0, which has no odd sign.
        ((1 | 1 << 255).to_bytes(32, "little"), signature),
        # S + L signs the same, so it must be refused, or a signature had two forms (RFC 8032, 5.1.7).
        (public, signature[:32] + shifted),
    ]
    for raw, signed in cases:
        assert not ed25519_verifies(raw, message, signed)
        assert not verifier.ed25519_verify(raw, message, signed)


def test_a_key_in_a_second_spelling_is_refused() -> None:
    # The neutral point as key makes any S with R = [S]B a signature, so only the spelling can refuse these: x = 0 with an
    # odd sign, and y = 1 + p (RFC 8032, 5.1.3, steps 1 and 4).
    base, one = bytes.fromhex("58" + "66" * 31), (1).to_bytes(32, "little")
    assert verifier.ed25519_verify(one, b"text", base + one)
    for number in (1 | 1 << 255, 2**255 - 18):
        assert not verifier.ed25519_verify(number.to_bytes(32, "little"), b"text", base + one)


def test_a_signature_in_a_second_spelling_of_base64_is_refused() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # The last letter before the padding has two bits to spare, which decoders ignore.
    spare = letters[letters.index(GOOD[-3]) + 1]
    respelled = f"{GOOD[:-3]}{spare}=\n"
    encoded = [text.rpartition(" ")[2].strip() for text in (GOOD, respelled)]
    assert base64.b64decode(encoded[0]) == base64.b64decode(encoded[1])
    with pytest.raises(IntegrityError, match="wanted a line"):
        parse_checkpoint(respelled, [KEY.public])
    with pytest.raises(verifier.Fault, match="is no signature line"):
        verifier.read_checkpoint(respelled, "c")


def test_a_note_is_signed_as_other_implementations_sign_it() -> None:
    key = PrivateKey("PeterNeumann", Ed25519PrivateKey.from_private_bytes(bytes.fromhex(NOTE_SEED)))
    assert key.public.text == NOTE_KEY
    assert sign_note(NOTE_BODY, key) == f"{NOTE_BODY}\n{NOTE_LINE}"
    assert parse_public_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").id.hex() == (
        "530d903a"
    )


@pytest.mark.parametrize("text", SUMDB_HEADS)
def test_a_checkpoint_of_the_go_checksum_database_verifies_here(text: str) -> None:
    key = parse_public_key(SUMDB_KEY)
    checkpoint = parse_checkpoint(text, [key])
    assert (checkpoint.origin, str(checkpoint.size)) == ("go.sum database tree", text.split("\n")[1])
    head = verifier.read_checkpoint(text, "latest")
    assert verifier.ed25519_verify(key.raw, head.body, head.signatures[0][2])
    with pytest.raises(IntegrityError, match="does not hold"):
        parse_checkpoint(text.replace("tree\n", "tree\n1"), [key])


def test_a_checkpoint_has_the_text_form_of_signed_notes() -> None:
    text = Checkpoint(KEY.name, 8, root_hash(HASHES)).sign(KEY)
    body, _, line = text.partition("\n\n")
    assert body == f"example.org/log\n8\n{base64.b64encode(bytes.fromhex(CT_ROOTS[8])).decode()}"
    dash, name, encoded = line.split(" ")
    assert (dash, name, encoded[-1]) == ("\u2014", "example.org/log", "\n")
    assert base64.b64decode(encoded) == KEY.public.id + KEY.sign(f"{body}\n".encode())


def test_lines_by_unknown_keys_are_ignored_and_one_by_a_known_key_must_hold() -> None:
    checkpoint = Checkpoint(KEY.name, 8, root_hash(HASHES))
    text = checkpoint.sign(KEY)
    witness = PrivateKey("witness.example", OTHER.key)
    cosigned = text + sign_note(checkpoint.body, witness).partition("\n\n")[2]
    assert parse_checkpoint(cosigned, [KEY.public]) == checkpoint
    assert parse_checkpoint(cosigned, [witness.public]) == checkpoint
    forged = text + Checkpoint(KEY.name, 9, root_hash(HASHES)).sign(witness).partition("\n\n")[2]
    assert parse_checkpoint(forged, [KEY.public]) == checkpoint
    with pytest.raises(IntegrityError, match=r"signature by witness\.example"):
        parse_checkpoint(forged, [KEY.public, witness.public])
    with pytest.raises(IntegrityError, match="wanted one by example"):
        parse_checkpoint(text, [OTHER.public])
    with pytest.raises(IntegrityError, match="wanted one by a key"):
        parse_checkpoint(text, [])


GOOD = Checkpoint(KEY.name, 8, root_hash(HASHES)).sign(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        GOOD[:-1],
        GOOD.partition("\n\n")[0] + "\n\n",
        GOOD.replace("\n\n", "\n"),
        GOOD.replace("\n8\n", "\n08\n"),
        GOOD.replace("\n8\n", "\n٨\n"),
        GOOD.replace("\n8\n", "\n-8\n"),
        GOOD.replace("\n8\n", "\n8\nmore\n"),
        GOOD.replace(KEY.name, "", 1),
        GOOD.replace("\u2014", "-"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("=\n\n", "\n\n"),
        GOOD + "\n",
        "o\n1\nAAAA\n\n\u2014 o AAAAAAAA\n",
        f"o\n1\n{base64.b64encode(bytes(32)).decode()}\n\n\u2014 o AAAA\n",
    ],
)
def test_a_garbled_checkpoint_is_refused_by_both_readers(text: str) -> None:
    with pytest.raises(IntegrityError, match="checkpoint: "):
        parse_checkpoint(text, [KEY.public])
    with pytest.raises(verifier.Fault, match="garbled"):
        verifier.read_checkpoint(text, "c")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "wanted name+id+base64"),
        ("a+00000000", "wanted name+id+base64"),
        ("a+00000000+AAAA", "wanted name+id+base64"),
        (KEY.public.text.replace(KEY.public.id.hex(), "00000000"), "id 00000000; wanted id"),
        ("a+00000000+AQ==", "0 bytes; wanted 32 bytes"),
        (KEY.public.text.replace("example.org/log", "two words"), "wanted text without spaces"),
    ],
)
def test_a_garbled_public_key_is_refused(text: str, found: str) -> None:
    with pytest.raises(BadInput, match=found.replace("+", r"\+")):
        parse_public_key(text)


def test_a_public_key_reads_back_from_its_text() -> None:
    assert parse_public_key(f"{KEY.public.text}\n") == KEY.public
    assert "key=" not in repr(KEY)


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), r"leaf body\.a: nan"),
        (float("inf"), r"leaf body\.a: inf"),
        ([1, -float("inf")], r"leaf body\.a\[1\]: -inf"),
        ({"b": {1: 2}}, r"leaf body\.a\.b: "),
        (datetime(2026, 1, 1, tzinfo=UTC), r"leaf body\.a: datetime"),
        (Colour.RED, r"leaf body\.a: "),
        (b"bytes", r"leaf body\.a: b'bytes'"),
        (np.int64(3), r"leaf body\.a: .*int64"),
        ("\ud800", r"leaf body\.a: "),
    ],
)
def test_a_value_without_a_canonical_form_is_refused_with_its_path(value: object, path: str) -> None:
    with pytest.raises(BadInput, match=path):
        encode_leaf("k", {"a": value})


def test_a_leaf_is_sorted_compact_ascii_with_floats_by_repr() -> None:
    leaf = encode_leaf("k", {"b": [0.1, 1e22, -0.0, np.float64(2.5)], "a": {"é": None}, "c": (True, 10**20)})
    assert leaf == (
        b'{"body":{"a":{"\\u00e9":null},"b":[0.1,1e+22,-0.0,2.5],"c":[true,100000000000000000000]},"kind":"k"}'
    )


def test_the_writers_clock_enters_a_leaf_in_utc() -> None:
    noon = datetime(2026, 11, 20, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert decode_leaf(encode_leaf("k", {}, at=noon))["at"] == "2026-11-20T10:00:00.000000Z"
    with pytest.raises(BadInput, match="without a time zone"):
        encode_leaf("k", {}, at=noon.replace(tzinfo=None))


@pytest.mark.parametrize(
    "leaf", [b"", b"{", b"[]", b'{"kind":1}', b'{"kind": "k"}', b'{"kind":"k","kind":"k"}', b'{"kind":NaN}', b"\xff"]
)
def test_a_leaf_that_is_not_canonical_is_refused(leaf: bytes) -> None:
    with pytest.raises(IntegrityError, match="wanted a canonical leaf"):
        decode_leaf(leaf)
    with pytest.raises(verifier.Fault):
        verifier.read_leaf(leaf, 3)


def test_a_salted_hash_differs_by_salt_and_needs_a_long_one() -> None:
    first, second = (salted_hash("a customer", salt=bytes([i]) * 16) for i in (1, 2))
    assert first != second
    assert len(first) == 64
    assert first == salted_hash("a customer", salt=b"\x01" * 16)
    with pytest.raises(BadInput, match="15 bytes; wanted at least 16"):
        salted_hash("a customer", salt=bytes(15))


def test_the_salted_hash_is_hmac_sha_256() -> None:
    # RFC 4231, test case 1.
    assert salted_hash("Hi There", salt=b"\x0b" * 20) == (
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )


def test_proofs_are_plain_values_and_fail_when_altered() -> None:
    leaves = [encode_leaf("n", {"n": n}) for n in range(6)]
    inclusion, consistency = prove_inclusion(leaves, 4, size=5), prove_consistency(leaves, 3, new=6)
    assert inclusion.as_dict()["leaf"] == '{"body":{"n":4},"kind":"n"}'
    assert inclusion.as_dict()["path"] == [node.hex() for node in naive_log.path(4, leaves[:5])]
    assert consistency.as_dict()["path"] == [node.hex() for node in naive_log.proof(3, leaves)]
    assert not type(inclusion)(b"x", inclusion.index, inclusion.size, inclusion.root, inclusion.path).holds()
    for older, newer in pairwise(range(1, 7)):
        assert prove_consistency(leaves, older, new=newer).new_root == naive_log.mth(leaves[:newer])


def test_a_key_has_32_bytes_and_a_name_without_spaces() -> None:
    with pytest.raises(BadInput, match="31 bytes"):
        PublicKey("a", bytes(31))
    with pytest.raises(BadInput, match="key name"):
        PublicKey("a+b", bytes(32))
