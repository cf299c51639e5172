import pytest

from image_catalog.registry.addresses import Reach, classify

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]

PRIVATE = [
    "10.0.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
]

FORBIDDEN = [
    "0.0.0.0",  # noqa: S104 (nothing is bound to it)
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::127.0.0.1",
    "::8.8.8.8",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:a9fe:a9fe::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:7f00:1",
    "4000::1",
]


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        pytest.param(address, reach, id=address)
        for reach, addresses in ((Reach.PUBLIC, PUBLIC), (Reach.PRIVATE, PRIVATE), (Reach.FORBIDDEN, FORBIDDEN))
        for address in addresses
    ],
)
def test_reach_of_addresses(address: str, reach: Reach) -> None:
    assert classify(address) is reach


@pytest.mark.parametrize("text", ["registry.test", "0177.0.0.1", "127.1", ""])
def test_other_spellings_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        classify(text)
