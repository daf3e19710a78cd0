"""What a host says of its machine: hardware, disks, sealing folders, kernels, forms of proof."""

from __future__ import annotations

from typing import Final

from poolsite.wire.codec import Document, Int, Text

TOXIC_GROTH16: Final = "groth16_toxic"
"""Form of the Groth16 proofs that a public network refuses: its parameters come from a ceremony."""
FOREIGN_GROTH16: Final = "groth16_foreign"
"""Form of those by parameters that nobody has marked, and that are not the ceremony's either."""


class SealingFolder(Document, frozen=True, kw_only=True):
    """A sealing store, one of the disks on which a host seals, or the location of a thread that is away."""

    sectors: Int = 0
    """Unfinished ones in it."""
    disk: Text = ""
    """Name of the disk, alike for all folders on it, as in `Disk.disk`."""
    total_bytes: Int = 0
    """0: it is away, and only its sectors and the reason are known."""
    free_bytes: Int = 0
    """Beyond its reserve."""
    weight: Int = 1
    reserve_bytes: Int = 0
    allow_miners: tuple[Int, ...] = ()
    deny_miners: tuple[Int, ...] = ()
    reason: Text = ""
    """Why no sector begins there, with the remedy; empty: one may."""


class Disk(Document, frozen=True, kw_only=True):
    """The file system of a folder."""

    folder: Text
    total_bytes: Int
    free_bytes: Int
    disk: Text = ""
    """Which disk of this host it is, alike for all folders on it; empty from a host of an older version."""
    write_bytes_s: Int = 0
    """Measured past the page cache where the file system allows it; 0: not measured, or not writable."""
    read_bytes_s: Int = 0
    sealing: SealingFolder | None = None
    """Of a sealing store, or of the location of a sealing thread that is away."""
    is_location: bool = False
    """Whether a sealing thread seals there."""


class HostLoad(Document, frozen=True, kw_only=True):
    """How busy a machine is; None: its kernel does not tell."""

    cpu_permille: Int | None = None
    """Of all its processors' time in the last ten minutes, whichever programs took it."""
    memory_permille: Int | None = None
    """Of what control groups leave to the host."""
    gpu_permille: Int | None = None
    """Mean of its GPUs."""
    celsius: Int | None = None
    """Of the hottest processor."""
    gpu_celsius: Int | None = None
    """Of the hottest GPU."""


class TreesTrial(Document, frozen=True, kw_only=True):
    """Result of a host's trial of its card at the trees of PC2."""

    gpu: Text
    """Its model."""
    memory_bytes: Int = 0
    """0: not known."""
    is_gpu: bool = False
    """Whether it makes the trees; False: the CPU does."""
    gpu_ms: Int = 0
    """Milliseconds of the card for the piece by which both were tried; 0: not tried."""
    cpu_ms: Int = 0
    """The same of all cores."""
    error: Text = ""
    """Why it cannot be used."""


class ProofTrial(Document, frozen=True, kw_only=True):
    """Result of a host's trial of its card at one kind of work of Groth16 proofs."""

    kind: Text
    """h: the quotient; G1 or G2: sums of points of that group."""
    is_gpu: bool = False
    """Whether the card makes its large pieces; False: the CPU does."""
    gpu_ms: Int = 0
    """Milliseconds of the card for the first piece."""
    cpu_ms: Int = 0
    """The same of all cores."""


class ProofsTrial(Document, frozen=True, kw_only=True):
    """Results of a host's trials of its card at Groth16 proofs."""

    gpu: Text
    """Its model."""
    kinds: tuple[ProofTrial, ...] = ()
    """Kinds of work of which a piece was large enough."""
    error: Text = ""
    """Why it is left alone; empty: it is not."""


class LayerBatch(Document, frozen=True, kw_only=True):
    """A batch that a host labels with its layers on drives."""

    sectors: Int
    """Sectors that it is made for."""
    lanes_empty: Int = 0
    """Lanes of its pages that nobody's labels come of: never taken, or their sectors were aborted."""
    layer: Int
    """Layer that is labelled; one more than there are: replicas and trees are made."""
    layers: Int
    done: Int
    """Labelled nodes of all layers."""
    total: Int
    reads_milli: Int = 0
    """Thousandths of reads a node; 0: not known yet."""
    reads_s: Int = 0
    """Reads a second of all drives together; 0: not known yet."""
    page_bytes: Int = 0
    """Bytes of a read."""
    end_s: Int = 0
    """Unix time when it ends, about; 0: not known yet."""


class PagesMeasured(Document, frozen=True, kw_only=True):
    """Rates of a host's drives and cores with pages of one size; 0: not measured."""

    sectors: Int
    """Sectors of which a page has a node."""
    reads_s: Int = 0
    """Random reads a second of all drives together."""
    read_ns: Int = 0
    """Nanoseconds of a core for one of them."""
    nodes_s: Int = 0
    """Nodes of all these sectors that all cores label in a second, their parents in memory."""


class DrivesMeasured(Document, frozen=True, kw_only=True):
    """Last result of `measure-disks --all` on a host."""

    drives: tuple[Text, ...] = ()
    """Folders or devices."""
    at: Int = 0
    """Unix time when it was measured."""
    room_bytes: Int = 0
    """Bytes of all drives that a batch may take: as many of each as the smallest has."""
    endurance_bytes: Int = 0
    """Bytes that may be written to all of them; 0: nobody gave any."""
    columns_s: Int = 0
    """Columns of labels that trees are made of in a second, replica included; 0: not measured."""
    pages: tuple[PagesMeasured, ...] = ()


class BatchSize(Document, frozen=True, kw_only=True):
    """How many sectors a host labels together, with their layers on drives."""

    sectors: Int
    why: Text
    """set: its file says so; best: by what was measured; unmeasured: the most that memory and slots hold;
    least: by what was measured it holds no batch; begun: the drives hold batches of that size."""


class Hardware(Document, frozen=True, kw_only=True):
    """The hardware and software of a host."""

    cpus: Int = 0
    ram_bytes: Int = 0
    disk_free_bytes: Int = 0
    disk_total_bytes: Int = 0
    cpu_model: Text = ""
    numa_nodes: Int = 0
    l3_bytes: Int = 0
    """Of one L3 cache; 0 where the kernel does not tell."""
    l3_caches: Int = 0
    gpus: tuple[Text, ...] = ()
    disks: tuple[Disk, ...] = ()
    kernels_done: Int = 0
    kernels_total: Int = 0
    """Kernels that are compiled, of those its stages need; 0 of 0: the worker has none."""
    proofs: tuple[Text, ...] = ("vanilla",)
    """Forms of proof that it makes now; TOXIC_GROTH16 instead of groth16 by parameters from a known seed,
    FOREIGN_GROTH16 by any others that are not the public networks'."""
    parameters_done: Int = 0
    parameters_total: Int = 0
    """Points of the Groth16 parameters that are being made or converted; 0 of 0: none are."""
    parameters_error: Text = ""
    """What is missing for the form of proof that it was told to make."""
    parameters_foreign: Text = ""
    """Names of the parameter files that are not those of the public networks' list."""
    update_error: Text = ""
    """Why it can prove no replica update; empty: it can, or seals nothing."""
    winning_form: Text = ""
    """groth16 or vanilla: form of a win's proof; empty: a program of its own makes it, or nobody here."""
    winning_ms: Int = 0
    """Milliseconds of a WinningPoSt by Groth16, as last measured there; 0: not yet."""
    update_sizes: tuple[Int, ...] = ()
    """Sector sizes of which it proves updates by Groth16; containers of larger ones fit into no message."""
    removing_bytes: Int = 0
    """Bytes of sectors that are over and that it is removing."""
    load: HostLoad | None = None
    """None: not looked at yet, or a host of an older version."""
    trees: TreesTrial | None = None
    """None: no card, or not tried yet."""
    groth16: ProofsTrial | None = None
    """None: no card, or no proof had a large piece yet."""
    batch: LayerBatch | None = None
    """None: it labels none with its layers on drives."""
    drives_measured: DrivesMeasured | None = None
    """None: `measure-disks --all` was never run there."""
    batch_size: BatchSize | None = None
    """None: its file names no drives for layers."""
    drives_measuring: bool = False
    """Whether it is running now."""
    drives_error: Text = ""
    """Why it failed when it was last asked for; empty: it did not."""
